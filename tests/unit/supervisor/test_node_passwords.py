"""Node passwords that cannot be verified at once: tried again, and the outcome told as an Event."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

from rke2.errors import KubeError
from rke2.join import node_password
from rke2.kube.objects import Object
from rke2.kube.resources import EVENTS, SECRETS
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.node_passwords import NodePasswords, Verifier
from tests.configs import paths_under, server_config
from tests.unit.supervisor.kube import Kube, core_over


async def deferred(tmp_path: Path, kube: Kube, password: str) -> Object:
    """The event on a node whose password could not be verified when it came."""
    config, slot = server_config(paths_under(tmp_path)), CoreSlot()
    passwords, core = NodePasswords(config, slot, retry_seconds=0.01), core_over(kube, config)
    passwords._defer("node2", password)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(core.run()), tasks.create_task(passwords.run())]
        await core.synced()
        slot.publish(core)
        while not (events := (await kube.list(EVENTS)).items):
            await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
    assert not passwords._deferred
    return events[0]


def secret(password: str) -> Object:
    text = base64.b64encode(node_password.hash(password).encode()).decode()
    meta = {"name": "node2.node-password.rke2", "namespace": "kube-system"}
    return {"metadata": meta, "type": "Opaque", "data": {"hash": text}}


async def test_a_password_that_is_right_after_all(tmp_path: Path) -> None:
    kube, refusals = Kube(), [KubeError("webhook", status=500)] * 3

    def refuse(verb: str, resource: object, name: str) -> None:
        if verb == "create" and resource is SECRETS and refusals:
            raise refusals.pop()

    kube.refuse = refuse
    event = await deferred(tmp_path, kube, "right")
    assert (event["type"], event["reason"]) == ("Normal", "NodePasswordValidationComplete")
    assert event["involvedObject"]["name"] == "node2"
    assert refusals == []
    assert await kube.find(SECRETS, "node2.node-password.rke2", "kube-system")


async def test_a_password_that_turns_out_wrong(tmp_path: Path) -> None:
    kube = Kube()
    kube.put(SECRETS, secret("right"))
    event = await deferred(tmp_path, kube, "wrong")
    assert (event["type"], event["reason"]) == ("Warning", "NodePasswordValidationFailed")
    assert "wrong" not in event["message"]


async def test_a_right_password_is_hashed_once() -> None:
    verifier, text = Verifier(), node_password.hash("right")
    assert await verifier.verify(text, "right")
    assert not await verifier.verify(text, "wrong")
    assert verifier._right.keys() == {text}
    assert await verifier.verify(text, "right")


async def test_a_password_that_was_just_hashed_is_not_hashed_again_to_be_verified() -> None:
    verifier = Verifier()
    text = await verifier.hash("right")
    assert node_password.verify(text, "right")
    verifier._places = asyncio.Semaphore(0)
    async with asyncio.timeout(10):
        assert await verifier.verify(text, "right")
