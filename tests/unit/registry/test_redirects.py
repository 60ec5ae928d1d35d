"""Credentials for a registry are shown at no other place, whatever the registry's answers say."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from rke2.errors import RegistryError
from rke2.registry.connection import RegistryConnection, open_session
from rke2.registry.origin import Origin
from rke2.registry.push import ACTIONS, Pusher
from rke2.registry.relay import Relay
from rke2.registry.source import RegistryCredentials, Source, Trust
from tests.authorities import own_authority
from tests.registry import digest

from .server import LAYERS, MANIFEST, Answer, Server, always
from .test_relay import free_port

BLOB = b"a layer"
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
OURS = RegistryCredentials("ours", "secret")
BASIC = {"WWW-Authenticate": 'Basic realm="anything"'}


@pytest.fixture
async def registry() -> AsyncIterator[Server]:
    async with Server().serving() as made:
        yield made


@pytest.fixture
async def stranger() -> AsyncIterator[Server]:
    """Takes everything; where it is only redirected to nobody may show it credentials."""
    async with Server().serving() as made:
        made.answers = {"": always(status=201)}
        yield made


@asynccontextmanager
async def pusher(server: Server, trust: Trust | None = None) -> AsyncIterator[Pusher]:
    async with open_session() as session:
        source = Source(server.url, credentials=OURS, trust=trust or Trust())
        yield Pusher(RegistryConnection(session, source, ACTIONS))


async def chunks() -> AsyncIterator[bytes]:
    yield BLOB


def guarded(answer: Answer) -> Answer:
    """`answer` for who shows credentials."""

    async def guard(request: web.Request) -> web.StreamResponse | None:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers=BASIC)
        return await answer(request)

    return guard


def leading_to(url: str, status: int = 202) -> Answer:
    return always(status=status, headers={"Location": url})


def told_nothing(server: Server) -> bool:
    return bool(server.requests) and not any("Authorization" in each.headers for each in server.requests)


@pytest.fixture
def certificate(tmp_path: Path) -> Trust:
    chain, key = own_authority("127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    (tmp_path / "tls.crt").write_bytes(chain)
    (tmp_path / "tls.key").write_bytes(key)
    return Trust(ca_file=str(tmp_path / "tls.crt"))


def tls(trust: Trust) -> ssl.SSLContext:
    """Of a server with the certificate that `trust` trusts; asks clients for the same one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust.ca_file, trust.ca_file.replace(".crt", ".key"))
    context.load_verify_locations(trust.ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


# --- images push ---------------------------------------------------------------------------------------
async def test_an_upload_elsewhere_goes_there_without_credentials(registry: Server, stranger: Server) -> None:
    registry.answers = {"uploads/": guarded(leading_to(f"{stranger.url}/upload?state=x"))}
    async with pusher(registry) as made:
        await made.blob("a/b", DIGEST, len(BLOB), chunks())
    (upload,) = stranger.requests
    assert upload.path_qs == f"/v2/upload?state=x&digest={DIGEST}"
    assert told_nothing(stranger)


@pytest.mark.parametrize("scheme", ["Basic realm=x", 'Bearer realm="{}/token",service="s"'])
async def test_who_is_only_redirected_to_gets_no_credentials_by_asking(
    registry: Server, stranger: Server, scheme: str
) -> None:
    registry.answers = {"uploads/": guarded(leading_to(f"{stranger.url}/upload"))}
    challenge = {"WWW-Authenticate": scheme.format(stranger.url)}
    stranger.answers = {"/token": always(text='{"token": "x"}'), "": always(status=401, headers=challenge)}
    async with pusher(registry) as made:
        with pytest.raises(
            RegistryError, match=r"leads to http://127.* not sent to another address"
        ) as error:
            await made.blob("a/b", DIGEST, len(BLOB), chunks())
    assert "correct the registry's own address" in error.value.remedy
    assert told_nothing(stranger)
    assert stranger.asked("/token") == []


async def test_an_upload_is_not_sent_without_tls_by_a_registry_that_has_it(
    stranger: Server, certificate: Trust
) -> None:
    async with Server().serving(tls(certificate)) as registry, pusher(registry, certificate) as made:
        registry.answers = {"uploads/": guarded(leading_to(f"{stranger.url}/upload?state=secret"))}
        with pytest.raises(RegistryError, match="wants uploads sent without TLS") as error:
            await made.blob("a/b", DIGEST, len(BLOB), chunks())
    assert "secret" not in str(error.value)
    assert stranger.requests == []


async def test_the_same_place_in_other_words_gets_them(registry: Server) -> None:
    place = f"HTTP://127.0.0.1:{registry.port}/v2/upload"
    registry.answers = {
        "uploads/": guarded(leading_to(place)),
        "/upload": guarded(always(status=201)),
    }
    async with pusher(registry) as made:
        await made.blob("a/b", DIGEST, len(BLOB), chunks())
    assert len(registry.asked("/upload")) == 1


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirected_manifest_is_not_taken_for_stored(
    registry: Server, stranger: Server, status: int
) -> None:
    registry.answers = {"manifests/v1": guarded(leading_to(f"{stranger.url}/elsewhere", status))}
    async with pusher(registry) as made:
        with pytest.raises(RegistryError, match=f"redirects a/b:v1 to {stranger.url}/elsewhere"):
            await made.manifest("a/b", "v1", MANIFEST)
    assert stranger.requests == []


# --- pulls ---------------------------------------------------------------------------------------------
async def ask(source: Source, rest: str = "manifests/v1") -> int:
    async with (
        open_session() as session,
        RegistryConnection(session, source).exchange("GET", "a/b", rest) as response,
    ):
        return response.status


@pytest.mark.parametrize("scheme", ["Basic realm=x", 'Bearer realm="{}/token",service="s"'])
async def test_a_redirect_of_a_pull_to_who_asks_for_credentials(
    registry: Server, stranger: Server, scheme: str
) -> None:
    registry.answers = {"": guarded(leading_to(f"{stranger.url}/blob", 307))}
    challenge = {"WWW-Authenticate": scheme.format(stranger.url)}
    stranger.answers = {"/token": always(text='{"token": "x"}'), "": always(status=401, headers=challenge)}
    assert await ask(Source(registry.url, credentials=OURS)) == 401
    assert told_nothing(stranger)
    assert stranger.asked("/token") == []


async def test_back_home_they_stay_hidden(registry: Server, stranger: Server) -> None:
    """Else the stranger chooses what is asked for in our name."""
    registry.answers = {"manifests/v1": guarded(leading_to(f"{stranger.url}/x", 307))}
    stranger.answers = {"": leading_to(f"{registry.url}/a/b/manifests/of-its-choice", 307)}
    await ask(Source(registry.url, credentials=OURS))
    (chosen,) = registry.asked("of-its-choice")
    assert "Authorization" not in chosen.headers


async def test_a_token_service_that_redirects(registry: Server, stranger: Server) -> None:
    realm = f'Bearer realm="{registry.url}/token",service="s"'
    registry.answers = {
        "/token": leading_to(f"{stranger.url}/token", 302),
        "manifests/v1": always(status=401, headers={"WWW-Authenticate": realm}),
    }
    stranger.answers = {"": always(text='{"token": "x"}')}
    await ask(Source(registry.url, credentials=OURS))
    assert "Authorization" in registry.asked("/token")[0].headers
    assert told_nothing(stranger)


@pytest.mark.parametrize("realm", ["ftp://127.0.0.1/token", "http://[", "token", "http://127.0.0.1:99999/"])
async def test_a_token_service_that_has_no_address(registry: Server, realm: str) -> None:
    registry.answers = {"": always(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})}
    with pytest.raises(RegistryError, match="is not an address of HTTP"):
        await ask(Source(registry.url))


@pytest.mark.parametrize("place", ["http://[", "http://127.0.0.1:99999/", "ftp://127.0.0.1/"])
async def test_a_redirect_to_no_address(registry: Server, place: str) -> None:
    registry.answers = {"": leading_to(place, 307)}
    with pytest.raises(RegistryError, match="which is not an address of HTTP"):
        await ask(Source(registry.url))


async def test_the_client_certificate_is_shown_at_home_only(certificate: Trust) -> None:
    shown: list[bool] = []

    async def see(request: web.Request) -> web.StreamResponse | None:
        assert request.transport
        shown.append(request.transport.get_extra_info("peercert") is not None)
        return None

    ours = replace(certificate, cert_file=certificate.ca_file, key_file=certificate.ca_file[:-3] + "key")
    async with Server().serving(tls(certificate)) as registry, Server().serving(tls(certificate)) as other:
        other.answers = {"": see}

        async def away(request: web.Request) -> web.StreamResponse | None:
            await see(request)
            return await leading_to(f"{other.url}/a/b/manifests/v1", 307)(request)

        registry.answers = {"": away}
        assert await ask(Source(registry.url, trust=ours)) == 200
    assert shown == [True, False]


# --- the relay -----------------------------------------------------------------------------------------
async def test_containerd_is_not_told_where_a_stranger_wants_a_pods_credentials(
    registry: Server, stranger: Server
) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{stranger.url}/token",service="s"'}
    stranger.answers = {"": always(status=401, headers=challenge)}
    registry.answers = {"": leading_to(f"{stranger.url}/blob", 307)}
    source = Source(registry.url)
    relay = Relay([source], free_port())
    await relay.start()
    try:
        headers = {**relay.headers, "Authorization": "Basic cG9k"}
        url = f"{relay.url(source)}/a/b/blobs/{digest(LAYERS[0])}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            assert answer.status == 401
            assert "WWW-Authenticate" not in answer.headers
    finally:
        await relay.close()
    assert told_nothing(stranger)


# --- what is the same place ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://reg.example/v2", "https://REG.example:443/x?y", True),
        ("http://reg.example/v2", "http://reg.example:80", True),
        ("https://user@reg.example/v2", "https://reg.example/", True),
        ("https://[fd00::1]:5000/v2", "https://[fd00::1]:5000/", True),
        ("https://reg.example/v2", "http://reg.example/v2", False),
        ("https://reg.example/v2", "http://reg.example:443/v2", False),
        ("https://reg.example/v2", "https://reg.example:5000/v2", False),
        ("https://reg.example/v2", "https://reg.example.org/v2", False),
        ("https://reg.example/v2", "https://reg.example@other/v2", False),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert (Origin.of(one) == Origin.of(other)) is same
