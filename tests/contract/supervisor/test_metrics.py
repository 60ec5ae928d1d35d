"""``/metrics`` on port 9345: who may read it, and on an agent likewise (day2 reference §12)."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rke2.errors import KubeError
from rke2.kube.objects import Object
from rke2.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from rke2.metrics.exposition import text
from rke2.metrics.families import gauge
from rke2.supervisor.figures_listener import FiguresListener
from tests.contract.supervisor.harness import NODE, SERVER, Supervisor, foreign, supervisor
from tests.unit.supervisor.client import Answer
from tests.unit.supervisor.kube import Kube

TOKEN_USER = "system:serviceaccount:monitoring:prometheus"


async def figures() -> str:
    return text([gauge("rke2_ready", "x", 1)])


def reviews(resource: Resource, obj: Object) -> Object:
    """An API server that knows one token, and lets one user read ``/metrics``."""
    if resource == TOKEN_REVIEWS:
        known = obj["spec"]["token"] == "known"
        return {"status": {"authenticated": known, "user": {"username": TOKEN_USER, "groups": ["g"]}}}
    assert resource == SUBJECT_ACCESS_REVIEWS
    spec = obj["spec"]
    asked = {"path": "/metrics", "verb": "get"}
    return {"status": {"allowed": spec["user"] == TOKEN_USER and spec["nonResourceAttributes"] == asked}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with supervisor(tmp_path_factory.mktemp("supervisor"), figures=figures) as found:
        found.kube.reviews = reviews
        yield found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_before_there_is_an_api_server_only_masters_read_it(running: Supervisor) -> None:
    assert running.ask("GET", "/metrics", headers=bearer("known")).status == 503
    assert running.ask("GET", "/metrics", stem=running.tls / "client-admin").status == 200


def test_who_may_read_it(running: Supervisor) -> None:
    if not running.server.core.current:
        running.become_ready()
    kubelet = running.config.paths.agent / "client-kubelet"
    assert running.ask("GET", "/metrics").status == 401
    assert running.ask("GET", "/metrics", SERVER).status == 401, "passwords are for nodes"
    assert running.ask("GET", "/metrics", NODE).status == 401
    assert running.ask("GET", "/metrics", headers=bearer("unknown")).status == 401
    refused = running.ask("GET", "/metrics", stem=kubelet)
    assert (refused.status, refused.message) == (
        403,
        'forbidden: User "system:node:node1" cannot get path "/metrics"',
    )
    allowed = running.ask("GET", "/metrics", headers=bearer("known"))
    assert allowed.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    [family] = text_string_to_metric_families(allowed.body.decode())
    assert family.name == "rke2_ready"
    assert running.ask("POST", "/metrics", headers=bearer("known")).status == 405


def test_an_api_server_that_does_not_answer_is_told(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not running.server.core.current:
        running.become_ready()

    def silent(resource: Resource, obj: Object) -> Object:
        raise KubeError("no route to host", reason="Unreachable")

    monkeypatch.setattr(running.kube, "reviews", silent)
    answer = running.ask("GET", "/metrics", headers=bearer("known"))
    assert answer.status == 503 and "no route to host" in answer.message


def test_without_the_setting_there_is_no_such_route(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        running.become_ready()
        assert running.ask("GET", "/metrics", stem=running.tls / "client-admin").status == 404


# --- agents ----------------------------------------------------------------------------------------
@contextmanager
def agent(root: Path) -> Iterator[tuple[FiguresListener, Path]]:
    """The listener of an agent, and where its files are."""
    with supervisor(root) as made:  # only for its certificates
        config = made.config
    paths, kube = config.paths, Kube()
    kube.reviews = reviews
    listener, loop = FiguresListener(config, figures, kube, port=0), asyncio.new_event_loop()
    up = threading.Event()
    task = loop.create_task(listener.run(up.set))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        assert up.wait(10)
        yield listener, paths.agent
    finally:
        loop.call_soon_threadsafe(task.cancel)
        asyncio.run_coroutine_threadsafe(asyncio.wait([task]), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def ask(
    listener: FiguresListener,
    folder: Path,
    path: str = "/metrics",
    stem: Path | None = None,
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> Answer:
    context = ssl.create_default_context(cafile=str(folder / "server-ca.crt"))
    if stem:
        context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", listener.port, context=context, timeout=20)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def test_an_agent_answers_by_the_same_rules(tmp_path: Path) -> None:
    with agent(tmp_path) as (listener, folder):
        assert ask(listener, folder, headers=bearer("known")).body.startswith(b"# HELP rke2_ready")
        assert ask(listener, folder).status == 401
        assert ask(listener, folder, headers=bearer("unknown")).status == 401
        assert ask(listener, folder, stem=folder / "client-kubelet").status == 403
        assert ask(listener, folder, "/v1-rke2/config", stem=folder / "client-kubelet").status == 404
        assert ask(listener, folder, "127.0.0.1:1", method="CONNECT").status == 404
        with pytest.raises((ssl.SSLError, ConnectionError)):  # with TLS 1.3 not before something is read
            ask(listener, folder, stem=foreign(tmp_path))


def test_an_agent_serves_a_renewed_certificate_without_a_restart(tmp_path: Path) -> None:
    with agent(tmp_path / "one") as (listener, folder):
        before = ssl.get_server_certificate(("127.0.0.1", listener.port))
        with supervisor(tmp_path / "two") as other:
            for name in ("serving-kubelet.crt", "serving-kubelet.key"):
                shutil.copy(other.config.paths.agent / name, folder / name)
        assert ssl.get_server_certificate(("127.0.0.1", listener.port)) != before


def test_the_answer_of_an_agent_is_a_status(tmp_path: Path) -> None:
    with agent(tmp_path) as (listener, folder):
        assert json.loads(ask(listener, folder).body)["kind"] == "Status"
