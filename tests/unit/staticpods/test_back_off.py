from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rke2.content.images.cri import Sandbox
from rke2.errors import ComponentError
from rke2.staticpods import back_off
from rke2.staticpods.back_off import end_back_off, keep_out_of_back_off


class Runtime:
    """A runtime in which components have sandboxes of their names; `ended` has the containers that have ended in each.

    `kubelet` is told of each removal, and may begin others.
    """

    def __init__(self, **ended: set[str]) -> None:
        self.ended_in = {name.replace("_", "-"): containers for name, containers in ended.items()}
        self.did: list[str] = []
        self.refusals = 0
        self.kubelet: Callable[[str], None] = lambda name: None

    async def sandboxes(self, namespace: str = "") -> tuple[Sandbox, ...]:
        if self.refusals:
            self.refusals -= 1
            raise ComponentError("no answer")
        return tuple(box(name) for name in self.ended_in)

    async def ended(self, sandbox_id: str) -> frozenset[str]:
        return frozenset(self.ended_in.get(sandbox_id, ()))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self.did.append(f"remove {sandbox_id}")
        del self.ended_in[sandbox_id]
        self.kubelet(sandbox_id)


def box(name: str, *, ready: bool = True) -> Sandbox:
    labels = {"component": name, "tier": "control-plane"}
    return Sandbox(name, f"{name}-node1", "kube-system", "uid", 1, ready, labels)


async def silent() -> bool:
    return False


async def test_only_what_has_ended_is_taken_out_of_its_back_off() -> None:
    runtime: Any = Runtime(etcd={"a"}, kube_scheduler=set())
    await end_back_off(runtime, "kube-scheduler")
    assert runtime.did == []
    await end_back_off(runtime, "etcd")
    assert runtime.did == ["remove etcd"]


async def test_a_sandbox_that_is_down_is_the_kubelets(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime: Any = Runtime(etcd={"a"})

    async def down(namespace: str = "") -> tuple[Sandbox, ...]:
        return (box("etcd", ready=False),)

    monkeypatch.setattr(runtime, "sandboxes", down)
    await end_back_off(runtime, "etcd")
    assert runtime.did == []


async def test_a_runtime_that_does_not_answer_ends_nothing() -> None:
    runtime: Any = Runtime(etcd={"a"})
    runtime.refusals = 3
    await end_back_off(runtime, "etcd")
    await keep_out_of_back_off(runtime, "etcd", silent, pause=0)
    assert runtime.did == ["remove etcd"]


async def test_what_was_started_since_the_last_look_is_left_to_the_kubelet() -> None:
    """It may be starting the next container at this moment: what is removed under it counts as ended again."""
    runtime: Any = Runtime(etcd={"0"})
    attempts = iter(range(1, 100))

    async def restarted() -> bool:
        runtime.ended_in["etcd"] = {str(next(attempts))}
        return False

    await keep_out_of_back_off(runtime, "etcd", restarted, pause=0)
    assert runtime.did == []


async def test_what_is_held_back_is_started_a_few_times_only() -> None:
    runtime: Any = Runtime(etcd={"0"})
    runtime.kubelet = lambda name: runtime.ended_in.update({name: {f"after {len(runtime.did)}"}})
    await keep_out_of_back_off(runtime, "etcd", silent, pause=0)
    assert runtime.did == ["remove etcd"] * back_off.TIMES


async def test_what_answers_is_not_looked_at() -> None:
    runtime: Any = Runtime(etcd={"0"})

    async def answers() -> bool:
        return True

    await keep_out_of_back_off(runtime, "etcd", answers, pause=0)
    assert runtime.did == []
