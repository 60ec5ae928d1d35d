"""Requests to one source: authenticated as it asks, redirects followed, errors in an operator's words."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import urlencode, urlsplit

import aiohttp
from yarl import URL

from rke2.errors import RegistryError
from rke2.registry import challenge
from rke2.registry.origin import Origin, location
from rke2.registry.proxies import proxy_for
from rke2.registry.source import Source
from rke2.version import VERSION

CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
"""A server that sends nothing for so long is taken for dead."""

MAX_REDIRECTS = 10
CHUNK = 1 << 20
_LARGEST_ANSWER = 1 << 20
_REDIRECTS = (301, 302, 303, 307, 308)


def open_session() -> aiohttp.ClientSession:
    """What requests are made with; blobs come as they are, never unpacked on the way."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        headers={"User-Agent": f"rke2/{VERSION}", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
        read_bufsize=CHUNK,
    )


class RegistryConnection:
    """The way to `source`; keeps what it was told about authentication.

    Args:
        actions: what is asked for in tokens: ``pull``, or ``pull,push``.
    """

    def __init__(self, session: aiohttp.ClientSession, source: Source, actions: str = "pull") -> None:
        self.source = source
        self._session = session
        self._actions = actions
        self._authorization: dict[str, str] = {}
        self._asking = asyncio.Lock()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        repository: str,
        rest: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        data: AsyncIterable[bytes] | bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request for ``/<repository>/<rest>`` or, if `rest` is a URL, for that.

        Args:
            repository: the name at this source.
            what: names what is asked for in errors.
            data: a stream is sent once; it must not meet a request for credentials.

        Raises:
            RegistryError: no answer, or one that says no; also while the body is read inside the block.
        """
        async with self.exchange(method, repository, rest, headers, data) as response:
            if response.status >= 300:
                raise await self._refusal(response, what)
            yield response

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        repository: str,
        rest: str,
        headers: Mapping[str, str] | None = None,
        data: AsyncIterable[bytes] | bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """As `request`, with whatever the answer is. With an ``Authorization`` in `headers` there is no other.

        Raises:
            RegistryError: no answer.
        """
        query = self.source.query
        query = f"&{query[1:]}" if query and "?" in rest else query
        url = rest if "://" in rest else f"{self.source.url}/{repository}/{rest}{query}"
        with self._faults():
            if headers and "Authorization" in headers:
                response = await self._follow(method, url, dict(headers), data)
            else:
                response = await self._authenticated(method, url, repository, dict(headers or {}), data)
            try:
                yield response
            finally:
                response.release()

    # --- authentication ----------------------------------------------------------------------------
    async def _authenticated(
        self,
        method: str,
        url: str,
        repository: str,
        headers: dict[str, str],
        data: AsyncIterable[bytes] | bytes | None,
    ) -> aiohttp.ClientResponse:
        used = self._authorization.get(repository, "")
        response = await self._follow(method, url, _with(headers, used), data)
        # Who is only redirected to must not say where the credentials are to be sent.
        if response.status != 401 or not self.answered(response):
            return response
        challenges = challenge.parse(response.headers.getall("WWW-Authenticate", ()))
        async with self._asking:
            if self._authorization.get(repository, "") == used:
                answer = await self._answer(challenges, repository)
                if not answer:
                    return response
                self._authorization[repository] = answer
        response.release()
        return await self._follow(method, url, _with(headers, self._authorization[repository]), data)

    async def _answer(self, challenges: tuple[challenge.Challenge, ...], repository: str) -> str:
        """The ``Authorization`` that one of the challenges asks for; empty if there is nothing to say."""
        for asked in challenges:
            if asked.scheme == "bearer" and asked.parameters.get("realm"):
                return f"Bearer {await self._token(asked.parameters, repository)}"
            if asked.scheme == "basic" and self.source.credentials:
                return self._basic
        return ""

    async def _token(self, parameters: Mapping[str, str], repository: str) -> str:
        """A token of the service a registry refers to (distribution's token specification)."""
        realm, credentials = parameters["realm"], self.source.credentials
        scope = f"repository:{repository}:{self._actions}"
        if credentials and urlsplit(realm).scheme != "https" and self.source.url.startswith("https:"):
            raise RegistryError(
                f"registry {self.source.url} wants the credentials sent without TLS, to {realm}",
                "have its token service use https",
            )
        wanted = {"service": parameters.get("service", ""), "scope": scope}
        wanted = {key: value for key, value in wanted.items() if value}
        if credentials and credentials.identity_token:
            form = {"grant_type": "refresh_token", "client_id": "rke2", **wanted}
            body = urlencode({**form, "refresh_token": credentials.identity_token}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = await self._follow("POST", realm, headers, body, home=realm)
        else:
            query = f"{'&' if '?' in realm else '?'}{urlencode(wanted)}"
            headers = {"Authorization": self._basic} if credentials else {}
            response = await self._follow("GET", realm + query, headers, None, home=realm)
        try:
            if response.status >= 400:
                raise await self._refusal(response, f"a token for {repository}", realm)
            return _token_in(await limited(response, _LARGEST_ANSWER), realm)
        finally:
            response.release()

    @property
    def _basic(self) -> str:
        credentials = self.source.credentials
        assert credentials
        pair = f"{credentials.username}:{credentials.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    # --- one exchange ------------------------------------------------------------------------------
    async def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        data: AsyncIterable[bytes] | bytes | None,
        *,
        home: str = "",
    ) -> aiohttp.ClientResponse:
        """The answer for `url`, or for where it redirects to.

        Credentials, a client certificate too, are shown at the origin of `home` only, and not any more once a
        redirect has led away from it.

        Args:
            home: a URL; the source's if empty.
        """
        owner, at_home = Origin.of(home or self.source.url), True
        for _ in range(MAX_REDIRECTS):
            at_home = at_home and Origin.of(url) == owner
            response = await self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers if at_home else _without_authorization(headers),
                data=data,
                ssl=self._tls(url, at_home),
                proxy=proxy_for(url),
                allow_redirects=False,
            )
            if response.status not in _REDIRECTS or method not in ("GET", "HEAD"):
                return response
            url = location(url, response.headers.get("Location", ""), self.source.url)
            response.release()
        raise RegistryError(
            f"registry {self.source.url} redirects in circles: {MAX_REDIRECTS} times, last to {url}",
            "check the endpoint's address and the registry's own (its `http.host`)",
        )

    def answered(self, response: aiohttp.ClientResponse) -> bool:
        """Whether `response` is of the source itself, not of where that redirected to."""
        return Origin.of(str(response.url)) == Origin.of(self.source.url)

    def _tls(self, url: str, at_home: bool) -> ssl.SSLContext | bool:
        if Origin.of(url).scheme == "http":
            return True
        return self._ssl if at_home else self._ssl_of_others

    @cached_property
    def _ssl(self) -> ssl.SSLContext:
        return self.source.trust.context()

    @cached_property
    def _ssl_of_others(self) -> ssl.SSLContext:
        """The same CAs without our certificate: registries and what they redirect to are often of one operator."""
        return replace(self.source.trust, cert_file="", key_file="").context()

    async def _refusal(self, response: aiohttp.ClientResponse, what: str, url: str = "") -> RegistryError:
        status, name = response.status, f"registry {url or self.source.url}"
        words = _words(await limited(response, _LARGEST_ANSWER)) or response.reason or ""
        place = f"configs.{self.source.host}.auth in registries.yaml"
        if status < 400:
            return RegistryError(
                f"{name} redirects {what} to {response.headers.get('Location') or 'nowhere'}",
                "give that address as the registry's",
            )
        if status == 401 and not url and not self.answered(response):
            return RegistryError(
                f"{name} leads to {Origin.of(str(response.url)).url} for {what}, where credentials are wanted; "
                "those for the registry are not sent to another address",
                "correct the registry's own address (its `http.host`; `Host` and `X-Forwarded-Proto` of a proxy "
                "before it)",
            )
        if status == 401:
            if self.source.credentials:
                return RegistryError(
                    f"{name} refuses the credentials for {what}: {words}", f"correct {place}"
                )
            return RegistryError(f"{name} wants credentials for {what}", f"set {place}")
        if status == 403:
            return RegistryError(f"{name} does not give {what} away: {words}", f"check the rights of {place}")
        if status == 404:
            return RegistryError(f"{name} does not have {what}", "check name and tag, or push it there")
        if status == 429:
            return RegistryError(
                f"{name} limits the number of requests (429)",
                "wait, log in, or configure a mirror",
                temporary=True,
                retry_after=_retry_after(response.headers),
            )
        return RegistryError(
            f"{name} answers {status} for {what}: {words}",
            "look into the registry's log",
            temporary=status >= 500 or status in (408, 425),
            retry_after=_retry_after(response.headers),
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what aiohttp raises into errors that name the registry and the remedy."""
        name, host = f"registry {self.source.url}", self.source.host
        try:
            yield
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
            raise RegistryError(
                f"{name}: its certificate is not trusted: {reason}",
                f"name its CA in registries.yaml: configs.{host}.tls.ca_file",
            ) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise self._tls_fault(error) from error
        except aiohttp.ClientConnectorError as error:
            raise RegistryError(
                f"{name} cannot be reached: {error.strerror or error.os_error}",
                "check its address, the network, and HTTPS_PROXY and NO_PROXY",
                temporary=True,
            ) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            reason = str(error) or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)
            raise RegistryError(
                f"{name} broke off: {reason}", "check the network and the registry's log", temporary=True
            ) from error

    def _tls_fault(self, error: aiohttp.ClientConnectorSSLError) -> RegistryError:
        reason = getattr(error.os_error, "reason", "") or str(error.os_error)
        if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return RegistryError(
                f"registry {self.source.url} does not speak TLS",
                "write http:// before the endpoint in registries.yaml, or give the registry a certificate",
            )
        return RegistryError(
            f"registry {self.source.url}: no TLS connection: {reason}",
            f"check configs.{self.source.host}.tls in registries.yaml",
        )


async def limited(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, at most so many bytes.

    Raises:
        RegistryError: there are more.
    """
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        content += chunk
        if len(content) > most:
            raise RegistryError(f"registry {response.url.host}: an answer of more than {most} bytes")
    return bytes(content)


def _with(headers: dict[str, str], authorization: str) -> dict[str, str]:
    return {**headers, "Authorization": authorization} if authorization else headers


def _without_authorization(headers: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() != "authorization"}


def _token_in(content: bytes, realm: str) -> str:
    try:
        answer = json.loads(content)
        return str(answer.get("token") or answer["access_token"])
    except (ValueError, LookupError, AttributeError) as error:
        raise RegistryError(f"token service {realm}: its answer has no token") from error


def _words(content: bytes) -> str:
    """What a registry says in the body of a refusal; the first of its errors."""
    with suppress(ValueError, LookupError, TypeError):
        first = json.loads(content)["errors"][0]
        return str(first.get("message") or first.get("code") or "")
    return ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """``Retry-After`` in seconds, which may be a date (RFC 9110 §10.2.3); 0 without one, or if it is neither.

    A date is by the registry's clock: its ``Date`` tells what that shows, where it sends one.
    """
    given = headers.get("Retry-After", "")
    if given.isdecimal():
        return float(given)
    then, now = _date(given), _date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds()) if then else 0.0


def _date(text: str) -> datetime | None:
    """An HTTP date, None if it is not valid."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
