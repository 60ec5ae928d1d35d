"""Registries that misbehave: each gives one error that names it, and leaves nothing that looks whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from rke2.errors import ContentError, RegistryError
from rke2.registry import blob, connection
from rke2.registry import pull as registry
from rke2.registry.meter import Meter
from rke2.registry.patience import PullPatience
from rke2.registry.pull import PulledImage
from rke2.registry.reference import ImageReference
from rke2.registry.source import RegistryCredentials, Source
from tests.registry import digest

from .server import BLOBS, LAYERS, MANIFEST, Server, always, cut, times, whole

REFERENCE = ImageReference.parse("reg.example/a/b:v1")
QUICK = PullPatience(rounds=3, first=0.001)
BIG = LAYERS[0]
BIG_PATH = f"blobs/{digest(BIG)}"
NAME = digest(BIG).replace(":", "-")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob, "PAUSE", 0.001)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().serving() as made:
        yield made


async def pull(
    directory: Path,
    *sources: Source | Server,
    reference: ImageReference = REFERENCE,
    architecture: str = "amd64",
    meter: Meter | None = None,
    said: list[str] | None = None,
) -> PulledImage:
    made = [Source(each.url) if isinstance(each, Server) else each for each in sources]
    say = (said if said is not None else []).append
    return await registry.pull(reference, made, directory, architecture, patience=QUICK, meter=meter, say=say)


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*"))


async def test_an_image(server: Server, tmp_path: Path) -> None:
    meter = Meter()
    image = await pull(tmp_path, server, meter=meter)
    assert [layer.read_bytes() for layer in image.layers] == LAYERS
    assert image.digest == digest(MANIFEST)
    assert meter.done == meter.total == sum(map(len, BLOBS))
    assert len(files(tmp_path)) == 3
    server.requests.clear()
    await pull(tmp_path, server)
    assert server.asked(BIG_PATH) == []


async def test_by_digest(server: Server, tmp_path: Path) -> None:
    image = await pull(tmp_path, server, reference=replace(REFERENCE, digest=digest(MANIFEST)))
    assert image.manifest == MANIFEST


# --- what heals ------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_server_that_is_busy_for_a_moment(server: Server, tmp_path: Path, status: int) -> None:
    busy = always(status=status, headers={"Retry-After": "0"})
    server.answers = {"manifests/v1": times(2, busy), BIG_PATH: times(1, busy)}
    said: list[str] = []
    await pull(tmp_path, server, said=said)
    assert len(said) == 3
    assert all(server.url in reason and "next attempt" in reason for reason in said)


async def test_retry_after_is_obeyed(server: Server, tmp_path: Path) -> None:
    server.answers = {"manifests/v1": times(1, always(status=429, headers={"Retry-After": "1"}))}
    before = asyncio.get_running_loop().time()
    await pull(tmp_path, server)
    assert asyncio.get_running_loop().time() - before >= 0.99


@pytest.mark.parametrize(
    ("date", "retry_after", "seconds"),
    [
        ("Wed, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 10:00:01 GMT", 1),
        ("Wed, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 09:59:00 GMT", 0),
        ("Wed, 25 Nov 2026 10:00:00 GMT", "soon", 0),
    ],
)
async def test_retry_after_may_be_a_date(
    server: Server, tmp_path: Path, date: str, retry_after: str, seconds: float
) -> None:
    busy = always(status=429, headers={"Retry-After": retry_after, "Date": date})
    server.answers = {"manifests/v1": times(1, busy)}
    before = asyncio.get_running_loop().time()
    await pull(tmp_path, server)
    assert seconds - 0.01 <= asyncio.get_running_loop().time() - before


async def test_a_download_is_continued_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.answers = {BIG_PATH: times(10, cut(BIG, 100_000))}
    meter = Meter()
    image = await pull(tmp_path, server, meter=meter)
    assert image.layers[0].read_bytes() == BIG
    starts = [request.http_range.start for request in server.asked(BIG_PATH)]
    assert starts == [None, *range(100_000, 1_000_001, 100_000)]
    assert meter.done == meter.total


async def test_and_by_the_next_process(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(BIG[:5000])
    image = await pull(tmp_path, server)
    assert image.layers[0].read_bytes() == BIG
    assert [request.http_range.start for request in server.asked(BIG_PATH)] == [5000]


async def test_a_beginning_of_something_else_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 5000)
    with pytest.raises(RegistryError, match="another content"):
        await pull(tmp_path, server)
    assert (await pull(tmp_path, server)).layers[0].read_bytes() == BIG


async def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(BIG[:5000])
    server.answers = {BIG_PATH: always(body=BIG)}
    meter = Meter()
    assert (await pull(tmp_path, server, meter=meter)).layers[0].read_bytes() == BIG
    assert meter.done == meter.total


async def test_a_mirror_that_is_down_costs_no_wait(server: Server, tmp_path: Path) -> None:
    said: list[str] = []
    await pull(tmp_path, Source("http://127.0.0.1:1/v2"), server, said=said)
    assert said == []


async def test_a_lying_mirror_is_passed_over(server: Server, tmp_path: Path) -> None:
    async with Server().serving() as liar:
        liar.answers = {BIG_PATH: always(body=b"x" * len(BIG))}
        image = await pull(tmp_path, liar, server)
    assert image.layers[0].read_bytes() == BIG


# --- what does not ---------------------------------------------------------------------------------
async def refused(directory: Path, *sources: Source | Server, match: str, **options: object) -> None:
    """One error that names the first source; nothing that looks whole is left."""
    with pytest.raises(RegistryError, match=match) as caught:
        await pull(directory, *sources, **options)  # type: ignore[arg-type]
    assert sources[0].url in caught.value.message
    assert NAME not in files(directory)


async def test_unreachable(tmp_path: Path) -> None:
    await refused(tmp_path, Source("http://127.0.0.1:1/v2"), match="cannot be reached: .*check its address")
    assert files(tmp_path) == []


async def test_every_source_is_named(server: Server, tmp_path: Path) -> None:
    server.manifests.clear()
    match = f"127.0.0.1:1/v2 cannot be reached.*; registry {server.url} does not have reg.example/a/b:v1"
    await refused(tmp_path, Source("http://127.0.0.1:1/v2"), server, match=match)


async def test_no_tls_where_tls_is_expected(server: Server, tmp_path: Path) -> None:
    source = Source(server.url.replace("http:", "https:"))
    await refused(tmp_path, source, match="does not speak TLS.*http://")


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (401, r"wants credentials for reg.example/a/b:v1 \(set configs\.127"),
        (403, "does not give reg.example/a/b:v1 away: because"),
        (404, "does not have reg.example/a/b:v1"),
        (400, "answers 400 for reg.example/a/b:v1: because"),
        (500, "answers 500 for reg.example/a/b:v1: because"),
        (429, "limits the number of requests"),
    ],
)
async def test_refusals(server: Server, tmp_path: Path, status: int, match: str) -> None:
    body = json.dumps({"errors": [{"message": "because"}]}).encode()
    server.answers = {"manifests/v1": always(status=status, body=body)}
    await refused(tmp_path, server, match=match)
    assert len(server.requests) == (3 if status in (429, 500) else 1)


@pytest.mark.parametrize("retry_after", ["3600", "Wed, 25 Nov 2026 11:00:00 GMT"])
async def test_to_be_left_alone_for_long(server: Server, tmp_path: Path, retry_after: str) -> None:
    headers = {"Retry-After": retry_after, "Date": "Wed, 25 Nov 2026 10:00:00 GMT"}
    server.answers = {"manifests/v1": always(status=429, headers=headers)}
    await refused(tmp_path, server, match="limits the number of requests")
    assert len(server.requests) == 1


async def test_a_circle_of_redirects(server: Server, tmp_path: Path) -> None:
    server.answers = {"manifests/v1": always(status=307, headers={"Location": "/v2/a/b/manifests/v1"})}
    await refused(tmp_path, server, match="redirects in circles: 10 times, last to .*manifests/v1")


async def test_a_redirect_to_nowhere(server: Server, tmp_path: Path) -> None:
    server.answers = {BIG_PATH: always(status=302, headers={"Location": "file:///etc/passwd"})}
    await refused(tmp_path, server, match="redirects to file:///etc/passwd")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>captive portal</html>",
        b"[]",
        b'{"schemaVersion": 1, "fsLayers": []}',
        b'{"schemaVersion": 2, "config": {"digest": "sha256:../../etc/passwd", "size": 1}, "layers": []}',
        MANIFEST.replace(str(len(BIG)).encode(), b"-1"),
    ],
)
async def test_something_else_than_a_manifest(server: Server, tmp_path: Path, body: bytes) -> None:
    server.manifests["v1"] = body
    await refused(tmp_path, server, match="manifest")
    assert files(tmp_path) == []


async def test_a_manifest_without_end(server: Server, tmp_path: Path) -> None:
    server.manifests["v1"] = b" " * (5 << 20)
    with pytest.raises(RegistryError, match="more than 4194304 bytes"):
        await pull(tmp_path, server)


async def test_another_manifest_than_was_asked_for(server: Server, tmp_path: Path) -> None:
    server.manifests[digest(MANIFEST)] = MANIFEST + b" "
    reference = replace(REFERENCE, digest=digest(MANIFEST))
    await refused(tmp_path, server, match="manifest of .* has another content", reference=reference)


async def test_another_manifest_than_the_registry_says(server: Server, tmp_path: Path) -> None:
    headers = {"Docker-Content-Digest": digest(b"other")}
    server.answers = {"manifests/v1": always(body=MANIFEST, headers=headers)}
    await refused(tmp_path, server, match="manifest of .* has another content")


async def test_no_image_for_this_architecture(server: Server, tmp_path: Path) -> None:
    entry = {
        "digest": digest(MANIFEST),
        "size": len(MANIFEST),
        "platform": {"os": "linux", "architecture": "x"},
    }
    server.manifests["v1"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    with pytest.raises(RegistryError, match="not there for linux/amd64, only for linux/x"):
        await pull(tmp_path, server)


async def test_another_blob(server: Server, tmp_path: Path) -> None:
    server.answers = {BIG_PATH: always(body=b"x" * len(BIG))}
    await refused(tmp_path, server, match="blob sha256:.* of a/b has another content than the digest says")
    assert not any(name.endswith(".part") for name in files(tmp_path))
    assert len(server.asked(BIG_PATH)) == 1


async def test_a_longer_blob(server: Server, tmp_path: Path) -> None:
    server.answers = {BIG_PATH: always(body=BIG + b"x")}
    await refused(tmp_path, server, match=f"is longer than its {len(BIG)} bytes")


async def test_a_shorter_blob(server: Server, tmp_path: Path) -> None:
    async def short(request: web.Request) -> web.StreamResponse:
        return whole(request, BIG[:1000])

    server.answers = {BIG_PATH: short}
    await refused(tmp_path, server, match=rf"(ended after 1000 of {len(BIG)} bytes|answers 416|broke off)")


async def test_a_blob_that_is_cut_off_each_time(server: Server, tmp_path: Path) -> None:
    server.answers = {BIG_PATH: cut(BIG, 0)}
    await refused(tmp_path, server, match="broke off: .*check the network")
    assert len(server.asked(BIG_PATH)) == QUICK.rounds


async def test_silence(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await server.closing.wait()
        return web.Response()

    monkeypatch.setattr(connection, "SILENCE_SECONDS", 0.05)
    server.answers = {"manifests/v1": silent}
    await refused(tmp_path, server, match="broke off: .*[Tt]imeout")


async def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rke2.registry.pull.shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})
    )
    with pytest.raises(ContentError, match=r"no space left in .* 1 MB have to be fetched"):
        await pull(tmp_path, server)
    assert server.asked(BIG_PATH) == []


async def test_cancelled(server: Server, tmp_path: Path) -> None:
    started = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(BIG)
        await response.prepare(request)
        await response.write(BIG[:100_000])
        started.set()
        await server.closing.wait()
        return response

    server.answers = {BIG_PATH: hang}
    task = asyncio.create_task(pull(tmp_path, server))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert NAME not in files(tmp_path)


# --- credentials -----------------------------------------------------------------------------------
async def test_credentials_do_not_follow_to_another_host(server: Server, tmp_path: Path) -> None:
    async with Server().serving() as storage:

        async def elsewhere(request: web.Request) -> web.StreamResponse | None:
            if "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            return web.Response(status=307, headers={"Location": f"{storage.url}/a/b/{BIG_PATH}?sig=%2F"})

        server.answers = {BIG_PATH: elsewhere}
        await pull(tmp_path, Source(server.url, credentials=RegistryCredentials("u", "p")))
        (request,) = storage.asked(BIG_PATH)
    assert "Authorization" not in request.headers
    assert request.path_qs.endswith("?sig=%2F")


async def test_a_token_that_has_ended_is_replaced(server: Server, tmp_path: Path) -> None:
    tokens: list[str] = []

    async def token(request: web.Request) -> web.StreamResponse:
        tokens.append(str(len(tokens)))
        return web.json_response({"access_token": tokens[-1]})

    async def guard(request: web.Request) -> web.StreamResponse | None:
        blobs = "blobs" in request.path
        if request.headers.get("Authorization") == f"Bearer {1 if blobs else 0}":
            return None
        realm = f'Bearer realm="{server.url}/token",service="s"'
        return web.Response(status=401, headers={"WWW-Authenticate": realm})

    server.answers = {"/token": token, "": guard}
    await pull(tmp_path, server)
    assert tokens == ["0", "1"]
    assert server.asked("/token")[0].query == {"service": "s", "scope": "repository:a/b:pull"}


async def test_an_identity_token_is_exchanged(server: Server, tmp_path: Path) -> None:
    async def guard(request: web.Request) -> web.StreamResponse | None:
        if "Authorization" in request.headers:
            return None
        realm = f'Bearer realm="{server.url}/token",service="s"'
        return web.Response(status=401, headers={"WWW-Authenticate": realm})

    forms: list[dict[str, str]] = []

    async def exchange(request: web.Request) -> web.StreamResponse:
        forms.append({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response({"access_token": "t"})

    server.answers = {"manifests/v1": guard, "/token": exchange}
    await pull(tmp_path, Source(server.url, credentials=RegistryCredentials(identity_token="secret")))
    (form,) = forms[:1]
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "secret")
    assert server.asked("manifests/v1")[-1].headers["Authorization"] == "Bearer t"
