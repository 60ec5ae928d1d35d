"""A patch that loses against other writers is sent again; one that names the version it is for is not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rke2.errors import KubeError
from rke2.kube import client as client_module
from rke2.kube.client import Client
from rke2.kube.persistence import persist
from rke2.kube.resources import NODES


class API:
    """Answers 409 so often, then 200."""

    def __init__(self) -> None:
        self.conflicts = 0
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.asked <= self.conflicts:
            status = {"kind": "Status", "reason": "Conflict", "message": "the object has been modified"}
            return web.json_response(status, status=409)
        return web.json_response({"metadata": {"name": "node1"}})


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[tuple[API, Client]]:
    api = API()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kubeconfig = tmp_path / "kubeconfig"
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    kubeconfig.write_text(
        f"clusters: [{{name: c, cluster: {{server: '{url}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
    )
    async with Client(kubeconfig) as client:
        yield api, client
    await runner.cleanup()


PATCH: dict[str, Any] = {"metadata": {"labels": {"a": "b"}}}


async def test_others_were_faster_and_nobody_is_told(
    api: tuple[API, Client], caplog: pytest.LogCaptureFixture
) -> None:
    server, client = api
    server.conflicts = 4
    with caplog.at_level(logging.INFO):
        await persist("annotating node node1", lambda: client.patch(NODES, "node1", PATCH))
    assert server.asked == 5
    assert not [record for record in caplog.records if record.name.startswith("rke2")]


async def test_a_patch_for_one_version_is_not_for_another(api: tuple[API, Client]) -> None:
    server, client = api
    server.conflicts = 1
    with pytest.raises(KubeError, match="modified"):
        await client.patch(NODES, "node1", {"metadata": {"resourceVersion": "7", **PATCH["metadata"]}})
    assert server.asked == 1


async def test_it_ends_where_no_patch_ever_gets_through(
    api: tuple[API, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = api
    server.conflicts = 1000
    monkeypatch.setattr(client_module, "CONFLICT_ATTEMPTS", 3)
    with pytest.raises(KubeError, match="modified"):
        await client.patch(NODES, "node1", PATCH)
    assert server.asked == 3


async def test_a_conflict_of_field_managers_is_one_for_good(api: tuple[API, Client]) -> None:
    server, client = api
    server.conflicts = 1
    with pytest.raises(KubeError, match="modified"):
        await client.apply(NODES, {"kind": "Node", "metadata": {"name": "node1"}}, manager="rke2")
    assert server.asked == 1
