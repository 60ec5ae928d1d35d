"""Writing all Secrets again, against an API that answers as Kubernetes' does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rke2.errors import KubeError
from rke2.kube.client import BUSY_ATTEMPTS, Client
from rke2.supervisor.encryption import rewriting
from rke2.supervisor.encryption.rewriting import rewrite

COUNT = 120
CONTENT = "c2VjcmV0"


class Api:
    """Has Secrets; an answer has their content unless only metadata is asked for."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.answers: list[str] = []
        self.refused: dict[str, int] = {}
        self.until = 1_000_000
        """How often what is refused is refused."""

    async def list(self, request: web.Request) -> web.Response:
        items = [self._secret(request, f"s{number}") for number in range(COUNT)]
        return self._answer({"metadata": {"resourceVersion": "7"}, "items": items})

    async def patch(self, request: web.Request) -> web.Response:
        assert await request.json() == {}
        name = request.match_info["name"]
        if (status := self.refused.get(name)) and self.until:
            self.until -= 1
            return web.json_response({"kind": "Status", "reason": "x", "message": name}, status=status)
        self.changed.append(name)
        return self._answer(self._secret(request, name))

    def _secret(self, request: web.Request, name: str) -> dict[str, object]:
        secret: dict[str, object] = {"metadata": {"name": name, "namespace": "default"}}
        if "as=PartialObjectMetadata" not in request.headers["Accept"]:
            secret["data"] = {"value": CONTENT}
        return secret

    def _answer(self, body: dict[str, object]) -> web.Response:
        self.answers.append(json.dumps(body))
        return web.json_response(body)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def client(api: Api, tmp_path: Path) -> AsyncIterator[Client]:
    application = web.Application()
    application.router.add_get("/api/v1/secrets", api.list)
    application.router.add_patch("/api/v1/namespaces/default/secrets/{name}", api.patch)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    async with Client(tmp_path / "kubeconfig") as client:
        yield client
    await runner.cleanup()


async def test_every_secret_is_written_and_no_content_comes_here(api: Api, client: Client) -> None:
    told: list[int] = []
    assert await rewrite(client, told.append) == COUNT
    assert sorted(api.changed) == sorted(f"s{number}" for number in range(COUNT))
    assert told == [50, 100]
    assert not [answer for answer in api.answers if CONTENT in answer]


async def test_one_that_is_gone_is_passed_over_and_a_refusal_is_told(api: Api, client: Client) -> None:
    api.refused = {"s3": 404}
    assert await rewrite(client, lambda count: None) == COUNT
    api.refused = {"s5": 403}
    with pytest.raises(KubeError, match="s5"):
        await rewrite(client, lambda count: None)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_api_server_that_is_busy_or_starts_again_is_waited_for(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(rewriting, "_FIRST_PAUSE", 0.01)
    # More than the client itself tries again.
    api.refused, api.until = {"s7": status}, BUSY_ATTEMPTS + 2
    assert await rewrite(client, lambda count: None) == COUNT
    assert sorted(api.changed) == sorted(f"s{number}" for number in range(COUNT))


async def test_its_patience_has_an_end(api: Api, client: Client) -> None:
    api.refused = {"s5": 503}
    with pytest.raises(KubeError, match="s5"):
        await rewrite(client, lambda count: None, patience=0)
