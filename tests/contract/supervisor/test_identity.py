"""Whose name it is: what a client has to show for the certificates of a node (supervisor reference §4.2, ADR 0027)."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import NameOID

from rke2.config.model import ComponentSettings
from rke2.errors import KubeError
from rke2.join import node_password
from rke2.kube.objects import Key, Object
from rke2.kube.resources import EVENTS, NODES, SECRETS, Resource
from rke2.supervisor.calls import Call
from tests.authorities import new_key
from tests.contract.supervisor.harness import (
    NODE,
    Supervisor,
    certified,
    csr,
    node,
    out_of_time,
    register,
    supervisor,
    until_known,
)
from tests.contract.supervisor.test_answers import Etcd
from tests.unit.supervisor.client import Answer

PATH = "/v1-rke2/client-kubelet.crt"
AWAY = KubeError("no answer", reason="Unreachable")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path) as found:
        found.become_ready()
        yield found


@pytest.fixture
def from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """All clients of these tests are on this machine; with this the server takes none of them for it."""
    monkeypatch.setattr(Call, "from_this_machine", False)


def claim(
    running: Supervisor, name: str, password: str = "secret", user: str = NODE, stem: Path | None = None
) -> Answer:
    headers = {"rke2-Node-Name": name, "rke2-Node-Password": password}
    return running.ask("POST", PATH, user, stem=stem, body=csr(new_key()), headers=headers)


def own_password(running: Supervisor) -> str:
    return (running.config.paths.node_config_dir / "password").read_text().strip()


def put_secret(running: Supervisor, name: str, password: str) -> None:
    text = base64.b64encode(node_password.hash(password).encode()).decode()
    meta = {"name": f"{name}.node-password.rke2", "namespace": "kube-system"}

    async def put() -> None:
        running.kube.put(
            SECRETS, {"metadata": meta, "type": "rke2.cattle.io/node-password", "data": {"hash": text}}
        )

    running.run(put())


def secret(running: Supervisor, name: str) -> Object | None:
    return running.run(running.kube.find(SECRETS, f"{name}.node-password.rke2", "kube-system"))


def holds(running: Supervisor, name: str, password: str) -> bool:
    found = secret(running, name)
    if found is None:
        return False
    return node_password.verify(base64.b64decode(found["data"]["hash"]).decode(), password)


def delete_secret(running: Supervisor, name: str) -> None:
    running.run(running.kube.delete(SECRETS, f"{name}.node-password.rke2", "kube-system"))
    until(running, lambda: not core(running).node_password(f"{name}.node-password.rke2"))


def core(running: Supervisor) -> Any:
    found = running.server.core.current
    assert found
    return found


def until(running: Supervisor, condition: Callable[[], object]) -> None:
    async def wait() -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    running.run(wait())


def registered(running: Supervisor, name: str) -> None:
    register(running, name)
    running.run(until_known(running, name))


def client_certificate(running: Supervisor, folder: Path, common_name: str, organization: str) -> Path:
    """A certificate of the cluster's client CA, as it signs whatever it is told to by an administrator."""
    subject = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, common_name)]
    return certified(running.tls, folder / "client", subject)


# --- names -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../../../../nodes/node2",
        "node2/../../secrets/x",
        "a%2fb",
        "%2e%2e",
        "a?watch=1",
        "a#b",
        "node2 x",
        "node2\tx",
        "nöde",
        "\u212anode",
        "-node2",
        "node2.",
        "a..b",
        "n" * 53,
        "system:node:node2",
    ],
)
@pytest.mark.parametrize("program", ["rke2", "k3s"])
def test_a_name_that_no_node_may_have_reaches_nobody(running: Supervisor, name: str, program: str) -> None:
    asked: list[str] = []
    running.kube.refuse = lambda verb, resource, which: asked.append(which)
    for file in ("client-kubelet", "serving-kubelet"):
        headers = {f"{program}-Node-Name": name.encode(), f"{program}-Node-Password": b"secret"}
        answer = running.ask(
            "POST",
            f"/v1-{program}/{file}.crt",
            NODE,
            body=csr(new_key()),
            headers=headers,  # type: ignore[arg-type]
        )
        assert answer.status == 400
    assert asked == []


def test_a_password_longer_than_any_node_makes_is_not_hashed(running: Supervisor) -> None:
    assert claim(running, "node2", "x" * 257).status == 400
    assert secret(running, "node2") is None


@pytest.mark.parametrize("name", ["../node2", "node2\nx", "", "NODE2"])
def test_a_client_certificate_of_no_valid_node_is_nobodys(
    running: Supervisor, tmp_path: Path, name: str
) -> None:
    stem = client_certificate(running, tmp_path, f"system:node:{name}", "system:nodes")
    assert running.ask("GET", "/v1-rke2/connect", stem=stem).status == 401
    assert running.ask("GET", "/v1-rke2/config", stem=stem).status == 401


# --- the server's own name -------------------------------------------------------------------------
def test_a_server_makes_its_own_secret(running: Supervisor) -> None:
    assert holds(running, "node1", own_password(running))
    assert secret(running, "node1")["type"] == "rke2.cattle.io/node-password"  # type: ignore[index]


@pytest.mark.usefixtures("from_elsewhere")
def test_nobody_else_gets_its_name(running: Supervisor) -> None:
    assert claim(running, "node1").status == 403
    registered(running, "node1")
    assert claim(running, "node1").status == 403
    assert holds(running, "node1", own_password(running))


@pytest.mark.usefixtures("from_elsewhere")
def test_nor_before_it_has_made_its_secret(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        assert claim(running, "node1").status == 503
        assert claim(running, "node1", own_password(running)).status == 503
        running.kube.refuse = unless_it_is(
            lambda verb, name: verb == "create", KubeError("later", status=500)
        )
        running.become_ready(wait=False)
        assert claim(running, "node1").status == 503
        assert claim(running, "node2").status == 503
        running.kube.refuse = lambda *_: None
        until(running, lambda: running.server._node_passwords.ready)
        assert claim(running, "node1").status == 403
        assert claim(running, "node2").status == 200


def unless_it_is(which: Callable[[str, str], bool], error: KubeError) -> Callable[[str, Resource, str], None]:
    """Raise `error` where `which` says so of verb and name."""

    def refuse(verb: str, resource: Resource, name: str) -> None:
        if resource in (SECRETS, NODES) and which(verb, name):
            raise error

    return refuse


def test_a_deleted_secret_is_made_again(running: Supervisor) -> None:
    registered(running, "node1")
    running.run(running.kube.delete(SECRETS, "node1.node-password.rke2", "kube-system"))
    until(running, lambda: (SECRETS.plural, OWN) in running.kube._objects)
    assert holds(running, "node1", own_password(running))


OWN = Key("kube-system", "node1.node-password.rke2")


@pytest.mark.usefixtures("from_elsewhere")
def test_a_deleted_node_gives_the_name_back_and_takes_it_again(running: Supervisor) -> None:
    """Its Secret goes with the Node; the server makes it when its kubelet registers, or at its next start."""
    delete_secret(running, "node1")
    assert claim(running, "node1").status == 403
    assert secret(running, "node1") is None
    register(running, "node1")
    until(running, lambda: (SECRETS.plural, OWN) in running.kube._objects)
    assert holds(running, "node1", own_password(running))


@pytest.mark.usefixtures("from_elsewhere")
def test_a_secret_of_another_machine_is_told_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with supervisor(tmp_path) as running, caplog.at_level(logging.ERROR):
        put_secret(running, "node1", "of another machine")
        register(running, "node1")
        running.become_ready()
        assert running.told == {"node password": caplog.records[-1].args[1]}  # type: ignore[index]
        assert "kubectl --namespace kube-system delete secret node1.node-password.rke2" in caplog.text
        until(running, lambda: any(plural == EVENTS.plural for plural, _ in running.kube._objects))
        (event,) = running.run(running.kube.list(EVENTS)).items
        assert (event["type"], event["reason"]) == ("Warning", "NodePasswordValidationFailed")
        assert event["involvedObject"]["name"] == "node1"
        assert claim(running, "node1", "of another machine").status == 403
        assert holds(running, "node1", "of another machine")
        assert claim(running, "node2").status == 200

        running.run(running.kube.delete(SECRETS, "node1.node-password.rke2", "kube-system"))
        until(running, lambda: running.told == {"node password": ""})
        assert holds(running, "node1", own_password(running))


def test_a_secret_that_may_not_be_made_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with supervisor(tmp_path) as running, caplog.at_level(logging.ERROR):
        running.kube.refuse = unless_it_is(
            lambda verb, name: verb == "create" and name == OWN.name,
            KubeError("denied by policy", status=403),
        )
        running.become_ready()
        assert "denied by policy" in running.told["node password"]
        assert claim(running, "node2").status == 200


# --- a Node without a Secret -----------------------------------------------------------------------
def test_a_node_without_a_secret_is_answered_to_its_own_machine_alone(
    running: Supervisor, tmp_path: Path
) -> None:
    registered(running, "node2")
    answer = claim(running, "node2")
    assert answer.status == 403
    assert "client certificate" in answer.message
    for_others = client_certificate(running, tmp_path / "a", "system:node:node3", "system:nodes")
    not_a_node = client_certificate(running, tmp_path / "b", "system:node:node2", "system:authenticated")
    assert {claim(running, "node2", stem=stem).status for stem in (for_others, not_a_node)} == {403}
    assert secret(running, "node2") is None

    own = client_certificate(running, tmp_path / "c", "system:node:node2", "system:nodes")
    assert claim(running, "node2", stem=own).status == 200
    assert holds(running, "node2", "secret")
    assert claim(running, "node2").status == 200
    assert claim(running, "node2", "other", stem=own).status == 403


def test_an_expired_certificate_proves_nothing(running: Supervisor, tmp_path: Path) -> None:
    registered(running, "node2")
    day = timedelta(days=1)
    expired = out_of_time(running.tls, tmp_path, "expired", -9 * day, -day, node="node2")
    assert claim(running, "node2", stem=expired).status == 403
    assert secret(running, "node2") is None


def test_with_its_certificate_alone_too(running: Supervisor, tmp_path: Path) -> None:
    registered(running, "node2")
    own = client_certificate(running, tmp_path, "system:node:node2", "system:nodes")
    assert claim(running, "node2", user="", stem=own).status == 200
    assert holds(running, "node2", "secret")


def test_a_node_the_cache_does_not_know_yet_is_protected_too(running: Supervisor) -> None:
    running.run(put_unnoticed(running, node("node2")))
    assert core(running).node("node2") is None
    assert claim(running, "node2").status == 403


async def put_unnoticed(running: Supervisor, obj: Object) -> None:
    running.kube._objects[NODES.plural, Key("", obj["metadata"]["name"])] = obj


# --- while the API is away -------------------------------------------------------------------------
def away(running: Supervisor) -> None:
    running.kube.refuse = unless_it_is(lambda verb, name: True, AWAY)


def test_a_name_known_from_the_cache_is_not_given_away_meanwhile(running: Supervisor, tmp_path: Path) -> None:
    registered(running, "node2")
    own = client_certificate(running, tmp_path, "system:node:node2", "system:nodes")
    away(running)
    assert claim(running, "node2").status == 503
    assert claim(running, "node2", user="", stem=own).status == 503
    running.kube.refuse = lambda *_: None
    assert secret(running, "node2") is None


def test_a_cached_secret_is_compared_meanwhile(running: Supervisor) -> None:
    put_secret(running, "node2", "secret")
    until(running, lambda: core(running).node_password("node2.node-password.rke2"))
    away(running)
    assert claim(running, "node2").status == 200
    assert claim(running, "node2", "other").status == 403


def test_a_name_never_seen_is_verified_later(running: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    away(running)
    running.server._node_passwords._deferred._retry_seconds = 0.01
    assert claim(running, "node2").status == 200
    assert claim(running, "node2", "other").status == 403
    running.kube.refuse = lambda *_: None
    until(running, lambda: not len(running.server._node_passwords._deferred))
    assert holds(running, "node2", "secret")


def test_a_client_defers_few(running: Supervisor) -> None:
    away(running)
    statuses = [claim(running, f"new{number}").status for number in range(10)]
    assert statuses == [200] * 8 + [503] * 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_what_the_api_refuses_for_good_is_not_deferred(running: Supervisor, status: int) -> None:
    running.kube.refuse = unless_it_is(
        lambda verb, name: verb == "create", KubeError("denied by policy", status=status)
    )
    answer = claim(running, "node2")
    assert answer.status == 500
    assert "denied" not in answer.message
    assert not len(running.server._node_passwords._deferred)


@pytest.mark.usefixtures("from_elsewhere")
def test_a_server_without_apiserver_asks_etcd_whether_a_name_was_seen(tmp_path: Path) -> None:
    etcd, without = Etcd(), {"kube-apiserver": ComponentSettings(disabled=True)}
    etcd.keys["/registry/minions/node2"] = b"a Node"
    etcd.keys["/registry/secrets/kube-system/node3.node-password.rke2"] = b"a Secret"
    with supervisor(tmp_path, etcd=etcd, components=without) as running:
        assert [claim(running, name).status for name in ("node1", "node2", "node3")] == [503] * 3
        assert claim(running, "node4").status == 200
        etcd.down = True
        assert claim(running, "node5").status == 503
