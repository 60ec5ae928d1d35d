"""The API of an aggregated server may answer anything; our credentials are not led to another place by it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rke2.errors import KubeError
from rke2.kube.client import Client


class Place:
    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.location = ""
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        if self.location:
            return web.Response(status=307, headers={"Location": self.location})
        return web.json_response({"items": []})


@pytest.fixture
async def places() -> AsyncIterator[tuple[Place, Place]]:
    api, stranger = Place(), Place()
    runners = []
    for place in (api, stranger):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", place.answer)
        runner = web.AppRunner(application)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        place.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api, stranger
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_no_redirect_is_followed(places: tuple[Place, Place], tmp_path: Path, method: str) -> None:
    api, stranger = places
    api.location = f"{stranger.url}/elsewhere"
    kubeconfig = tmp_path / "kubeconfig"
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }
    kubeconfig.write_text(json.dumps(document))
    async with Client(kubeconfig) as client:
        with pytest.raises(KubeError, match="307") as error:
            await client.request(method, "/apis/metrics.k8s.io/v1beta1/nodes", body=None)
    assert error.value.status == 307
    assert len(api.requests) == 1
    assert stranger.requests == []
