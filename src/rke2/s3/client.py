"""Requests to one bucket: signed, with its errors told, each of them tried once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.registry.proxies import proxy_for
from rke2.s3 import answers, refusals
from rke2.s3.addressing import Address, address_of
from rke2.s3.answers import BucketPage, Element
from rke2.s3.body import CHUNK, Body, Nothing
from rke2.s3.credentials import credentials_of
from rke2.s3.signing import Credentials, encode_query, signed_headers
from rke2.s3.trust import context_of
from rke2.version import VERSION

CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
"""A store that sends nothing for so long is taken for dead."""

METADATA = "x-amz-meta-"
_LARGEST_ANSWER = 16 << 20
"""Of XML: a page of a listing has at most 1000 keys of 1 KiB."""
_NOTHING = Nothing()
_WITH_BODY = ("PUT", "POST")


@dataclass(frozen=True)
class _Request:
    """A request, not signed yet.

    Args:
        key: of an object; empty for the bucket itself.
        what: is not possible if it fails, in the words of the error.
    """

    method: str
    key: str
    what: str
    query: Sequence[tuple[str, str]] = ()
    body: Body = _NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part that is stored: the store's tag of it, and the sum it was sent with (`Body.crc32`)."""

    etag: str = ""
    crc32: str = ""

    @property
    def xml(self) -> str:
        told = f"<ChecksumCRC32>{self.crc32}</ChecksumCRC32>" if self.crc32 else ""
        return f"<ETag>{self.etag}</ETag>{told}"


class Bucket:
    """A bucket, while it is open; see `open_bucket`."""

    def __init__(
        self, settings: S3Settings, address: Address, credentials: Credentials, session: aiohttp.ClientSession
    ) -> None:
        self.settings, self.address = settings, address
        self._credentials, self._session = credentials, session

    @property
    def signs_content(self) -> bool:
        """Whether signatures have to cover what is sent, as nothing else protects it."""
        return self.settings.insecure

    # --- objects -----------------------------------------------------------------------------------
    async def page(self, prefix: str, after: str = "", *, limit: int = 1000) -> BucketPage:
        """Objects whose keys begin with `prefix`.

        Args:
            after: `BucketPage.next` of the page before.

        Raises:
            S3Error: as all requests here.
        """
        query = [("list-type", "2"), ("prefix", prefix), ("max-keys", str(limit)), ("encoding-type", "url")]
        query += [("continuation-token", after)] if after else []
        request = _Request("GET", "", f"cannot list bucket {self.settings.bucket}", query)
        document = await self._ask(request, "ListBucketResult")
        try:
            return answers.page(document)
        except ValueError as error:
            raise S3Error(
                f"the list of bucket {self.settings.bucket} cannot be understood: {error}"
            ) from error

    async def metadata(self, key: str) -> dict[str, str]:
        """The metadata of an object, names in lower case without their prefix."""
        async with self._send(_Request("HEAD", key, f"cannot look up {self.url(key)}")) as response:
            names = ((name.lower(), value) for name, value in response.headers.items())
            return {name.removeprefix(METADATA): value for name, value in names if name.startswith(METADATA)}

    async def put(self, key: str, body: Body, headers: Mapping[str, str]) -> None:
        """Store an object with one request."""
        await self._done(_Request("PUT", key, f"cannot write {self.url(key)}", (), body, headers))

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed."""
        await self._done(_Request("DELETE", key, f"cannot remove {self.url(key)}"))

    @asynccontextmanager
    async def get(self, key: str, start: int, etag: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The content of an object from byte `start` on.

        Args:
            etag: refuse another content than this; empty takes any.
        """
        headers = {"range": f"bytes={start}-"} if start else {}
        headers |= {"if-match": f'"{etag}"'} if etag else {}
        request = _Request("GET", key, f"cannot read {self.url(key)}", headers=headers)
        async with self._send(request) as response:
            yield response

    # --- uploads in parts --------------------------------------------------------------------------
    async def begin(self, key: str, headers: Mapping[str, str]) -> str:
        """Begin an upload in parts, which have to be `signs_content` or not; its id."""
        what = f"cannot begin to write {self.url(key)}"
        # Without it a store refuses parts that have a sum; one that does not know of sums ignores it.
        told = {} if self.signs_content else {"x-amz-checksum-algorithm": "CRC32"}
        request = _Request("POST", key, what, (("uploads", ""),), headers={**headers, **told})
        document = await self._ask(request, "InitiateMultipartUploadResult")
        return answers.text(document, "UploadId")

    async def put_part(self, key: str, upload: str, number: int, body: Body) -> Part:
        """Store a part, counted from 1."""
        query = (("partNumber", str(number)), ("uploadId", upload))
        what = f"cannot write part {number} of {self.url(key)}"
        return Part((await self._done(_Request("PUT", key, what, query, body))).get("ETag", ""), body.crc32)

    async def complete(self, key: str, upload: str, parts: Sequence[Part]) -> None:
        """Make an object of the parts. The answer may be an error although its status is 200."""
        listed = "".join(
            f"<Part><PartNumber>{number}</PartNumber>{part.xml}</Part>"
            for number, part in enumerate(parts, 1)
        )
        body = Body.of(f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode())
        what = f"cannot finish {self.url(key)}"
        request = _Request("POST", key, what, (("uploadId", upload),), body)
        await self._ask(request, "CompleteMultipartUploadResult")

    async def abort(self, key: str, upload: str) -> None:
        """Remove the parts of an upload."""
        query = (("uploadId", upload),)
        await self._done(_Request("DELETE", key, f"cannot give up {self.url(key)}", query))

    async def unfinished(self, prefix: str) -> list[tuple[str, str]]:
        """Key and id of uploads that were begun and not finished."""
        what = f"cannot list uploads to bucket {self.settings.bucket}"
        request = _Request("GET", "", what, (("uploads", ""), ("prefix", prefix)))
        return answers.uploads(await self._ask(request, "ListMultipartUploadsResult"))

    # --- requests ----------------------------------------------------------------------------------
    def url(self, key: str) -> str:
        return f"s3://{self.settings.bucket}/{key}"

    async def _done(self, request: _Request) -> Mapping[str, str]:
        """The headers of an answer whose body says nothing."""
        async with self._send(request) as response:
            await response.release()
            return response.headers

    async def _ask(self, request: _Request, root: str) -> Element:
        """The answer as XML, whose outermost element is `root`."""
        async with self._send(request) as response:
            content = await _limited(response)
            document = answers.parse(content, root)
            if document is None and (told := answers.refusal(content)):
                raise self._refused(request.what, response, told)
            if document is None:
                where = f"{request.what}: {self.settings.endpoint}"
                raise refusals.not_a_store(where, response.status, response.content_type)
            return document

    @asynccontextmanager
    async def _send(self, request: _Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request that succeeds; what says no is raised."""
        path, encoded = self.address.path(request.key), encode_query(request.query)
        url = URL(f"{self.address.endpoint}{path}" + (f"?{encoded}" if encoded else ""), encoded=True)
        method, body = request.method, request.body
        signed = signed_headers(
            method, self.address.host, path, encoded, {**request.headers, **body.headers}, body.sha256,
            self._credentials, self.settings.region, datetime.now(UTC),
        )  # fmt: skip
        try:
            async with self._session.request(
                method,
                url,
                headers={**signed, "content-length": str(body.size)} if method in _WITH_BODY else signed,
                data=body.chunks() if body.size else None,
                proxy=_proxy(self.settings, str(url)),
                allow_redirects=False,
            ) as response:
                if response.status // 100 != 2:
                    raise self._refused(request.what, response, answers.refusal(await _limited(response)))
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise refusals.unreachable(self.settings, request.what, error) from error

    def _refused(self, what: str, response: aiohttp.ClientResponse, told: answers.Refusal | None) -> S3Error:
        date, kind = response.headers.get("Date", ""), response.content_type
        return refusals.refused(self.settings, what, response.status, kind, date, told)


@asynccontextmanager
async def open_bucket(settings: S3Settings) -> AsyncIterator[Bucket]:
    """The bucket inside the block; nothing is asked of it yet.

    Raises:
        S3Error: the settings cannot be used.
    """
    _check_proxy(settings)
    address, credentials = address_of(settings), credentials_of(settings)
    connector = aiohttp.TCPConnector(ssl=context_of(settings))
    session = aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        headers={"User-Agent": f"rke2/{VERSION}", "Accept-Encoding": "identity"},
        skip_auto_headers=("Content-Type",),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
        read_bufsize=CHUNK,
    )
    async with session:
        yield Bucket(settings, address, credentials, session)


def check(settings: S3Settings) -> None:
    """See whether `settings` can be used, as far as can be told without asking the store.

    Raises:
        S3Error: they cannot.
    """
    address_of(settings)
    credentials_of(settings)
    context_of(settings)
    _check_proxy(settings)


def _check_proxy(settings: S3Settings) -> None:
    if settings.proxy in ("", "none"):
        return
    try:
        url = URL(settings.proxy)
    except ValueError as error:
        raise S3Error(
            f"failed to parse etcd-s3-proxy value as URL: {error}", "write http://<host>:<port>"
        ) from error
    if not url.scheme or not url.host:
        raise S3Error("etcd-s3-proxy: proxy URL must include scheme and host", "write http://<host>:<port>")


def _proxy(settings: S3Settings, url: str) -> str | None:
    if settings.proxy == "none":
        return None
    return settings.proxy or proxy_for(url)


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    """The body, or nothing if it is larger than any answer in XML."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        content += chunk
        if len(content) > _LARGEST_ANSWER:
            return b""
    return bytes(content)
