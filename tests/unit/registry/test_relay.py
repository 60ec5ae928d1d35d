from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from rke2.errors import HostError
from rke2.registry.relay import Relay
from rke2.registry.source import RegistryCredentials, Source
from tests.registry import digest

from .server import LAYERS, MANIFEST, Server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().serving() as made:
        yield made


@pytest.fixture
async def relay(server: Server) -> AsyncIterator[Relay]:
    rules = {"^official/(.*)": "a/$1"}
    source = Source(server.url, credentials=RegistryCredentials("u", "p"), rewrites=rules)
    dead = Source("http://127.0.0.1:1/v2")
    made = Relay([source, dead], free_port())
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


def base(relay: Relay, number: int = 0) -> str:
    return relay.url(relay._sources[number])


async def test_the_name_is_changed_and_the_answer_handed_through(
    relay: Relay, server: Server, session: aiohttp.ClientSession
) -> None:
    async def guard(request: web.Request) -> web.StreamResponse | None:
        if "Authorization" in request.headers:
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    server.answers = {"": guard}
    url = f"{base(relay)}/official/b/manifests/v1?ns=docker.io"
    async with session.get(url, headers=relay.headers) as answer:
        assert (answer.status, await answer.read()) == (200, MANIFEST)
    assert server.requests[-1].path_qs == "/v2/a/b/manifests/v1?ns=docker.io"
    async with session.head(url, headers=relay.headers) as answer:
        assert (answer.status, answer.content_length) == (200, len(MANIFEST))


async def test_part_of_a_blob(relay: Relay, session: aiohttp.ClientSession) -> None:
    url = f"{base(relay)}/official/b/blobs/{digest(LAYERS[0])}"
    async with session.get(url, headers={**relay.headers, "Range": "bytes=10-"}) as answer:
        assert (answer.status, await answer.read()) == (206, LAYERS[0][10:])
        assert answer.headers["Content-Range"].startswith("bytes 10-")


async def test_a_pods_credentials_are_handed_on_instead_of_ours(
    relay: Relay, server: Server, session: aiohttp.ClientSession
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})

    server.answers = {"": refuse}
    headers = {**relay.headers, "Authorization": "Basic cG9k"}
    async with session.get(f"{base(relay)}/official/b/manifests/v1", headers=headers) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Basic realm=x")
    (request,) = server.requests
    assert request.headers["Authorization"] == "Basic cG9k"
    assert "X-RKE2-Relay-Key" not in request.headers


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_without_the_key_nothing_is_asked(
    relay: Relay, server: Server, session: aiohttp.ClientSession, key: str
) -> None:
    headers = {"X-RKE2-Relay-Key": key} if key else {}
    async with session.get(f"{base(relay)}/official/b/manifests/v1", headers=headers) as answer:
        assert answer.status == 403
    assert server.requests == []


@pytest.mark.parametrize("path", ["/", "/9/a/b/manifests/v1", "/0/manifests/v1", "/0/a/b/tags/list"])
async def test_other_paths(relay: Relay, session: aiohttp.ClientSession, path: str) -> None:
    url = f"{base(relay).rpartition('/')[0]}{path}"
    async with session.get(url, headers=relay.headers) as answer:
        assert answer.status == 404


async def test_a_mirror_that_is_down(relay: Relay, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{base(relay, 1)}/a/b/manifests/v1", headers=relay.headers) as answer:
        assert answer.status == 502
        assert "cannot be reached" in (await answer.json())["errors"][0]["message"]


async def test_a_port_that_is_taken(relay: Relay) -> None:
    with pytest.raises(HostError, match=f"the relay to mirrors needs port {relay._port}"):
        await Relay([], relay._port).start()
