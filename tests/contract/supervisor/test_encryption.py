"""``GET /v1-rke2/encrypt/status`` as RKE2 answers it, which its ``rke2 secrets-encrypt status`` prints."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2.controllers.node_roles import role_annotations
from rke2.kube.resources import NODES
from tests.contract.supervisor.harness import SERVER, Supervisor, node, supervisor, until_known

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
