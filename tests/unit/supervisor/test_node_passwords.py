"""Node passwords that cannot be verified at once: tried again, and the outcome told as an Event."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rke2.errors import KubeError
from rke2.join import node_password
from rke2.kube.objects import Object
from rke2.kube.resources import EVENTS, SECRETS
from rke2.supervisor.claims import NodeClaim
from rke2.supervisor.core import Core, CoreSlot
from rke2.supervisor.deferred import MOST, MOST_OF_ONE_ADDRESS, Deferred
from rke2.supervisor.password_secrets import Verifier, WrongPasswordError
from rke2.supervisor.status import StatusError
from tests.configs import paths_under, server_config
from tests.unit.supervisor.kube import Kube, core_over


@asynccontextmanager
async def answering(root: Path, kube: Kube, queue: Deferred) -> AsyncIterator[Core]:
    """`queue` is worked on, and the API answers as `kube` does."""
    slot, core = CoreSlot(), core_over(kube, server_config(paths_under(root)))
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(core.run()), tasks.create_task(queue.run(slot))]
        await core.synced()
        slot.publish(core)
        yield core
        for task in running:
            task.cancel()


async def outcome(root: Path, kube: Kube, password: str) -> Object:
    """The event on ``node2``, whose `password` could not be verified when it came."""
    queue = Deferred(Verifier(), retry_seconds=0.01)
    queue.add(NodeClaim("node2", password))
    async with answering(root, kube, queue):
        event = (await events(kube, 1))[0]
    assert not len(queue)
    return event


async def events(kube: Kube, number: int) -> list[Object]:
    while len(found := (await kube.list(EVENTS)).items) < number:
        await asyncio.sleep(0.01)
    return found


def secret(password: str) -> Object:
    text = base64.b64encode(node_password.hash(password).encode()).decode()
    meta = {"name": "node2.node-password.rke2", "namespace": "kube-system"}
    return {"metadata": meta, "type": "Opaque", "data": {"hash": text}}


def refusing(kube: Kube, *refusals: Exception) -> list[Exception]:
    """Have the API answer the next attempts to make a Secret with `refusals`; what is left of them."""
    left = list(refusals)

    def refuse(verb: str, resource: object, name: str) -> None:
        if verb == "create" and resource is SECRETS and left:
            raise left.pop(0)

    kube.refuse = refuse
    return left


async def test_a_password_that_is_right_after_all(tmp_path: Path) -> None:
    kube = Kube()
    left = refusing(kube, *(KubeError("later", status=status) for status in (0, 429, 500, 503)))
    event = await outcome(tmp_path, kube, "right")
    assert (event["type"], event["reason"]) == ("Normal", "NodePasswordValidationComplete")
    assert event["involvedObject"]["name"] == "node2"
    assert left == []
    assert await kube.find(SECRETS, "node2.node-password.rke2", "kube-system")


async def test_a_password_that_turns_out_wrong(tmp_path: Path) -> None:
    kube = Kube()
    kube.put(SECRETS, secret("right"))
    event = await outcome(tmp_path, kube, "wrong")
    assert (event["type"], event["reason"]) == ("Warning", "NodePasswordValidationFailed")
    assert "wrong" not in event["message"]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
async def test_an_answer_that_will_not_change_ends_it(tmp_path: Path, status: int) -> None:
    kube = Kube()
    refusing(kube, *[KubeError("denied by policy", status=status)] * 50)
    event = await outcome(tmp_path, kube, "right")
    assert (event["type"], event["reason"]) == ("Warning", "NodePasswordValidationFailed")
    assert "denied by policy" in event["message"]


async def test_a_fault_ends_that_entry_only(tmp_path: Path) -> None:
    kube, queue = Kube(), Deferred(Verifier(), retry_seconds=0.01)
    refusing(kube, ZeroDivisionError())
    queue.add(NodeClaim("node2", "password"))
    queue.add(NodeClaim("node3", "password"))
    async with answering(tmp_path, kube, queue):
        reasons = {event["involvedObject"]["name"]: event["reason"] for event in await events(kube, 2)}
    assert reasons == {"node2": "NodePasswordValidationFailed", "node3": "NodePasswordValidationComplete"}


async def test_an_entry_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, slowly = list[str](), node_password.hash

    def counted(password: str) -> str:
        hashed.append(password)
        return slowly(password)

    monkeypatch.setattr(node_password, "hash", counted)
    kube = Kube()
    left = refusing(kube, *[KubeError("later", status=503)] * 20)
    await outcome(tmp_path, kube, "right")
    assert left == []
    assert hashed == ["right"]


async def test_a_client_address_gets_few_entries() -> None:
    queue = Deferred(Verifier())
    for number in range(MOST_OF_ONE_ADDRESS):
        queue.add(NodeClaim(f"n{number}", "password", "192.0.2.1"))
    with pytest.raises(StatusError) as refused:
        queue.add(NodeClaim("other", "password", "192.0.2.1"))
    assert refused.value.code == 503
    queue.add(NodeClaim("other", "password", "192.0.2.2"))
    queue.add(NodeClaim("n0", "password", "192.0.2.1"))


async def test_no_entry_gives_way_to_another() -> None:
    queue = Deferred(Verifier())
    for number in range(MOST):
        queue.add(NodeClaim(f"n{number}", "password", f"192.0.{number // 256}.{number % 256}"))
    with pytest.raises(StatusError):
        queue.add(NodeClaim("other", "password", "198.51.100.1"))
    assert len(queue) == MOST


async def test_a_name_that_waits_is_kept_for_its_password() -> None:
    queue = Deferred(Verifier())
    queue.add(NodeClaim("node2", "first"))
    with pytest.raises(WrongPasswordError):
        queue.add(NodeClaim("node2", "second"))


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
