"""``/v1-rke2/encrypt/…`` as RKE2 answers it, and ``rke2 secrets-encrypt`` against it.

The API servers' side is the test's here; that of the real one is in tests/integration and tests/cluster.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2.cli import main
from rke2.config.model import NodeConfig
from rke2.controllers.node_roles import role_annotations
from rke2.errors import KubeError
from rke2.join import bootstrap_encryption
from rke2.join.bootstrap import BootstrapData
from rke2.join.shared import SharedKeys
from rke2.kube.objects import Object
from rke2.kube.resources import NODES, SECRETS, Resource
from tests.contract.supervisor.harness import NODE, SERVER, TOKEN, Supervisor, node, supervisor, until_known
from tests.unit.join.test_store import Memory, store_in

PATH = "/v1-rke2/encrypt/status"
ANNOTATION = "rke2.io/encryption-config-hash"
CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": "true"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path) as found:
        yield found


def tell(running: Supervisor, name: str, annotation: str, labels: dict[str, str] = CONTROL_PLANE) -> None:
    """Put a Node with `annotation` into the API."""
    obj = node(name, **labels)
    if annotation:
        obj["metadata"]["annotations"] = {ANNOTATION: annotation}

    async def put() -> None:
        running.kube.put(NODES, obj)

    running.run(put())
    running.run(until_known(running, name))


def own(running: Supervisor) -> str:
    return role_annotations(running.config)[ANNOTATION]


def status(running: Supervisor) -> dict[str, Any]:
    answer = running.ask("GET", PATH, SERVER)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json
    return found


def test_before_there_is_an_api_the_reason_is_in_the_log_alone(running: Supervisor) -> None:
    answer = running.ask("GET", PATH, SERVER)
    assert answer.status == 500
    assert answer.json["message"].startswith("Internal error occurred: secret-encrypt error ID ")


def test_servers_that_agree(running: Supervisor) -> None:
    running.become_ready()
    tell(running, "node1", own(running))
    tell(running, "node2", own(running))
    tell(running, "node3", "")
    tell(running, "agent", "start-other", {})
    assert status(running) == {
        "stage": "start",
        "activekey": "AES-CBC aescbckey",
        "enable": True,
        "hashmatch": True,
    }


def test_a_server_that_does_not_agree_is_named(running: Supervisor) -> None:
    running.become_ready()
    tell(running, "node1", own(running))
    tell(running, "node2", f"rotate-{'0' * 64}")
    found = status(running)
    assert found["hasherror"] == "hash does not match between node1 and node2"
    assert "hashmatch" not in found


def test_a_file_that_was_changed_by_hand_is_told(running: Supervisor) -> None:
    running.become_ready()
    before = own(running)
    tell(running, "node1", before)
    path = running.config.paths.cred / "encryption-config.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    digest = before.partition("-")[2]
    assert digest != hashlib.sha256(path.read_bytes()).hexdigest()
    assert status(running)["hasherror"] == f"invalid hash: {digest} found on node node1"


def test_without_the_own_annotation_there_is_no_answer(running: Supervisor) -> None:
    running.become_ready()
    tell(running, "node1", "")
    assert running.ask("GET", PATH, SERVER).status == 500


def test_the_annotation_is_followed(running: Supervisor) -> None:
    running.become_ready()
    digest = own(running).partition("-")[2]
    tell(running, "node1", f"reencrypt_active-{digest}")
    assert status(running)["stage"] == "reencrypt_active"
    tell(running, "node1", f"reencrypt_finished-{digest}")

    async def followed() -> None:
        core = running.server.core.current
        assert core
        async with asyncio.timeout(10):
            while (core.node("node1") or {})["metadata"]["annotations"][ANNOTATION][
                :18
            ] != "reencrypt_finished":
                await asyncio.sleep(0.01)

    running.run(followed())
    assert status(running)["stage"] == "reencrypt_finished"


# --- exchanging keys -------------------------------------------------------------------------------
@pytest.fixture
def etcd() -> Memory:
    return Memory()


@pytest.fixture
def rotating(tmp_path: Path, etcd: Memory) -> Iterator[Supervisor]:
    def shared(config: NodeConfig) -> SharedKeys:
        data = BootstrapData.read(config.paths.server, complain=False)
        etcd.set(bootstrap_encryption.storage_key(TOKEN), bootstrap_encryption.encrypt(data.to_json(), TOKEN))
        return SharedKeys(config.paths, etcd, poll=0.05)

    with supervisor(tmp_path, shared=shared) as found:
        found.kube.config = found.config.paths.cred / "encryption-config.json"
        found.become_ready()
        tell(found, "node1", own(found))
        for number in range(120):
            secret = {"metadata": {"name": f"s{number}", "namespace": "default"}, "data": {"a": "b"}}
            found.run(_put(found, SECRETS, secret))
        yield found


async def _put(running: Supervisor, resource: Resource, obj: Object) -> None:
    running.kube.put(resource, obj)


def put(running: Supervisor, user: str = SERVER, **body: Any) -> tuple[int, str]:
    answer = running.ask("PUT", "/v1-rke2/encrypt/config", user, body=json.dumps(body).encode())
    return answer.status, str(json.loads(answer.body)["message"]) if answer.body else ""


def stored(running: Supervisor, etcd: Memory) -> tuple[bytes, bytes]:
    """Keys and state in etcd; those on disk are the same."""
    data = running.run(store_in(etcd, TOKEN).load())
    assert data
    found = data.entries["EncryptionConfig"].content, data.entries["EncryptionHash"].content
    cred = running.config.paths.cred
    assert found == tuple((cred / f"encryption-{name}.json").read_bytes() for name in ("config", "state"))
    return found


def names(config: bytes) -> list[str]:
    providers = json.loads(config)["resources"][0]["providers"]
    return [key["name"] for each in providers for kind in each.values() for key in kind.get("keys", [])]


def events(running: Supervisor) -> list[tuple[str, str]]:
    found = [obj for (plural, _), obj in running.kube._objects.items() if plural == "events"]
    return [
        (event["reason"], event["message"])
        for event in found
        if event["source"]["component"] == "secrets-reencrypt"
    ]


def until_told(running: Supervisor) -> None:
    """The API in memory tells of a change after a pause; the real one does at once."""

    async def told() -> None:
        core = running.server.core.current
        assert core
        async with asyncio.timeout(25):
            while (core.node("node1") or {})["metadata"]["annotations"][ANNOTATION] != own(running):
                await asyncio.sleep(0.01)

    running.run(told())


def until_event(running: Supervisor, event: tuple[str, str]) -> None:
    """Events are recorded behind what they tell of."""

    async def recorded() -> None:
        async with asyncio.timeout(20):
            while event not in events(running):
                await asyncio.sleep(0.01)

    running.run(recorded())


def cli(running: Supervisor, capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    where = (
        "--server",
        f"https://127.0.0.1:{running.port}",
        "--data-dir",
        str(running.config.paths.data_dir),
    )
    capfd.readouterr()
    code = main(["secrets-encrypt", *words, *where])
    out, err = capfd.readouterr()
    return code, out, "\n".join(line for line in err.splitlines() if line.startswith("rke2: "))


def test_all_at_once(rotating: Supervisor, etcd: Memory, capfd: pytest.CaptureFixture[str]) -> None:
    former = names(stored(rotating, etcd)[0])
    assert cli(rotating, capfd, "rotate-keys") == (0, "keys rotated, reencryption finished\n", "")
    config, state = stored(rotating, etcd)
    assert state.decode() == f"reencrypt_finished-{hashlib.sha256(config).hexdigest()}"
    (name,) = names(config)
    assert name.startswith("aescbckey-")
    assert name not in former
    assert {f"s{number}" for number in range(120)} <= set(rotating.kube.patched)
    until_told(rotating)
    code, out, _ = cli(rotating, capfd, "status")
    assert code == 0
    assert out == (
        "Encryption Status: Enabled\n"
        "Current Rotation Stage: reencrypt_finished\n"
        "Server Encryption Hashes: All hashes match\n"
        "\n"
        "Active  Key Type  Name\n"
        "------  --------  ----\n"
        f" *      AES-CBC   {name}\n"
    )
    complete = ("SecretsUpdateComplete", f"reencrypted {len(rotating.kube.patched)} secrets")
    until_event(rotating, complete)
    assert events(rotating) == [
        ("SecretsProgress", "reencrypted 50 secrets"),
        ("SecretsProgress", "reencrypted 100 secrets"),
        complete,
    ]


def test_step_by_step(rotating: Supervisor, etcd: Memory, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli(rotating, capfd, "rotate")[0] == 1
    assert cli(rotating, capfd, "prepare") == (0, "prepare completed successfully\n", "")
    (first, second) = names(stored(rotating, etcd)[0])
    code, _, err = cli(rotating, capfd, "prepare")
    assert code == 1
    assert "see server log for details: secret-encrypt error ID " in err
    assert "incorrect stage: prepare found on node node1" in err
    assert cli(rotating, capfd, "rotate") == (0, "rotate completed successfully\n", "")
    assert names(stored(rotating, etcd)[0]) == [second, first]
    assert cli(rotating, capfd, "reencrypt", "--skip") == (0, "reencryption started\n", "")
    until_idle(rotating)
    assert names(stored(rotating, etcd)[0]) == [second, first]
    assert cli(rotating, capfd, "reencrypt") == (0, "reencryption started\n", "")
    until_idle(rotating)
    assert names(stored(rotating, etcd)[0]) == [second]
    until_told(rotating)
    assert cli(rotating, capfd, "status", "-o", "json")[1] == (
        "{\n"
        '\t"stage": "reencrypt_finished",\n'
        f'\t"activekey": "AES-CBC {second}",\n'
        '\t"enable": true,\n'
        '\t"hashmatch": true\n'
        "}\n"
    )


def until_idle(running: Supervisor) -> None:
    rotation = running.server._rotation
    assert rotation

    async def idle() -> None:
        async with asyncio.timeout(20):
            while rotation._busy:
                await asyncio.sleep(0.01)

    running.run(idle())


def test_switched_off_and_on(rotating: Supervisor, etcd: Memory, capfd: pytest.CaptureFixture[str]) -> None:
    (name,) = names(stored(rotating, etcd)[0])
    assert cli(rotating, capfd, "disable") == (0, "secrets-encryption disabled\n", "")
    until_idle(rotating)
    assert cli(rotating, capfd, "status")[1].splitlines()[0] == "Encryption Status: Disabled"
    assert cli(rotating, capfd, "status")[1].splitlines()[-1] == f"        AES-CBC   {name}"
    assert "secrets encryption is disabled" in cli(rotating, capfd, "rotate-keys")[2]
    assert cli(rotating, capfd, "enable") == (0, "secrets-encryption enabled\n", "")
    until_idle(rotating)
    assert cli(rotating, capfd, "status")[1].splitlines()[0] == "Encryption Status: Enabled"
    assert rotating.kube.patched.count("s7") == 2


def test_a_failure_is_told_and_what_is_left_is_done_by_the_same_command(
    rotating: Supervisor, etcd: Memory, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(verb: str, resource: Resource, name: str) -> None:
        if (verb, resource.plural, name) == ("patch", "secrets", "s60"):
            raise KubeError("admission says no", status=403)

    rotating.kube.refuse = refuse
    code, _, err = cli(rotating, capfd, "rotate-keys")
    assert (code, "admission says no" in err) == (1, True)
    until_event(rotating, ("SecretsUpdateError", "failed to update secret: admission says no"))
    (new, _) = names(stored(rotating, etcd)[0])
    until_told(rotating)
    assert status(rotating)["stage"] == "rotate"
    rotating.kube.refuse = lambda *_: None
    assert cli(rotating, capfd, "rotate-keys")[0] == 0
    assert names(stored(rotating, etcd)[0]) == [new]
    for secret in _secrets(stored(rotating, etcd)[0]):
        assert secret not in caplog.text


def _secrets(config: bytes) -> list[str]:
    providers = json.loads(config)["resources"][0]["providers"]
    return [key["secret"] for each in providers for kind in each.values() for key in kind.get("keys", [])]


def test_another_server_that_does_not_agree_stops_it(
    rotating: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rke2.supervisor.encryption.rotation.AGREEMENT_SECONDS", 0.1)
    tell(rotating, "node2", f"start-{'0' * 64}")
    code, message = put(rotating, stage="prepare")
    assert (code, message.partition(": ")[2].partition(" (")[0]) == (
        400,
        "hash does not match between node1 and node2",
    )


def test_a_server_that_is_away_keeps_the_former_key_alive(rotating: Supervisor, etcd: Memory) -> None:
    """It may come back with it, and write."""
    tell(rotating, "node2", own(rotating))
    rotating.kube.silent.add("https://192.0.2.77:6443")
    assert put(rotating, stage="rotate_keys") == (200, "")
    assert len(names(stored(rotating, etcd)[0])) == 2
    until_told(rotating)
    assert status(rotating)["stage"] == "reencrypt_finished"


def test_what_is_asked_for_must_be_known(rotating: Supervisor) -> None:
    assert put(rotating, stage="shuffle") == (400, "unknown stage shuffle requested")
    assert put(rotating, NODE, stage="prepare")[0] == 403
    assert rotating.ask("PUT", "/v1-rke2/encrypt/config", SERVER, body=b"{").status == 400
    assert rotating.ask("POST", "/v1-rke2/encrypt/config", SERVER, body=b"{}").status == 405


def test_before_there_is_an_api_nothing_can_be_exchanged(running: Supervisor) -> None:
    assert put(running, stage="prepare") == (503, "runtime core not ready")
