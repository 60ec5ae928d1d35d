import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.content.images.cri import Sandbox
from rke2.errors import ComponentError
from rke2.staticpods import reconcile as module
from rke2.staticpods.reconcile import SandboxPatience, from_files, judge, make_room, reconcile


def box(
    id_: str, uid: str = "new", created: int = 1, *, ready: bool = True, name: str = "etcd", **changes: object
) -> Sandbox:
    fields: dict[str, object] = {
        "namespace": "kube-system",
        "labels": {"component": name, "tier": "control-plane"},
        "annotations": {"kubernetes.io/config.source": "file"},
        **changes,
    }
    return Sandbox(id=id_, name=f"{name}-node1", uid=uid, created=created, ready=ready, **fields)  # type: ignore[arg-type]


def removed(sandboxes: list[Sandbox]) -> list[str]:
    return [sandbox.id for sandbox in judge("etcd", "new", sandboxes).remove]


def test_settled_when_the_only_sandbox_is_that_of_the_manifest() -> None:
    assert judge("etcd", "new", [box("a")]).waiting == ""
    assert removed([box("a")]) == []


def test_sandbox_of_an_older_manifest_goes() -> None:
    verdict = judge("etcd", "new", [box("a", "old", 1), box("b", "new", 2)])
    assert [sandbox.id for sandbox in verdict.remove] == ["a"]
    assert "old pod sandbox" in verdict.waiting


def test_older_sandbox_of_the_same_pod_goes() -> None:
    assert removed([box("b", created=2), box("a", created=1)]) == ["a"]


def test_newer_sandbox_of_another_uid_goes() -> None:
    assert removed([box("a", created=1), box("b", "old", created=2)]) == ["b"]


def test_waits_while_there_is_none_or_it_is_down() -> None:
    assert "not found" in judge("etcd", "new", []).waiting
    assert "not ready" in judge("etcd", "new", [box("a", ready=False)]).waiting


@pytest.mark.parametrize(
    "other",
    [
        box("o", "old", name="kube-apiserver"),
        box("o", "old", namespace="default"),
        box("o", "old", labels={"component": "etcd"}),
        box("o", "old", labels={}),
    ],
)
def test_other_pods_are_none_of_its_business(other: Sandbox) -> None:
    assert removed([box("a"), other]) == []


BOXES = st.lists(
    st.builds(box, st.uuids().map(str), st.sampled_from(["new", "old"]), st.integers(0, 5)), max_size=6
)


@given(BOXES)
def test_at_most_one_sandbox_survives_and_it_is_the_newest_of_the_manifest(sandboxes: list[Sandbox]) -> None:
    gone = set(removed(sandboxes))
    left = [sandbox for sandbox in sandboxes if sandbox.id not in gone]
    current = [sandbox for sandbox in sandboxes if sandbox.uid == "new"]
    assert len(left) == bool(current)
    if left:
        assert left[0].created == max(sandbox.created for sandbox in current)


def test_only_static_pods_of_the_components_are_cleaned() -> None:
    api_object = box("api", annotations={"kubernetes.io/config.source": "api"})
    found = from_files(
        {"etcd"}, [box("a"), api_object, box("b", name="kube-proxy"), box("c", namespace="default")]
    )
    assert [sandbox.id for sandbox in found] == ["a"]


class FakeRuntime:
    """Sandboxes that can be removed, and what was done with them, in order."""

    def __init__(self, *boxes: Sandbox, refusals: int = 0) -> None:
        self.boxes = list(boxes)
        self.did: list[str] = []
        self._refusals = refusals

    async def sandboxes(self, namespace: str = "") -> tuple[Sandbox, ...]:
        if self._refusals:
            self._refusals -= 1
            raise ComponentError("no answer")
        return tuple(self.boxes)

    async def stop_containers(self, sandbox_id: str, seconds: int) -> None:
        self.did.append(f"stop {sandbox_id} in {seconds} s")

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self.did.append(f"remove {sandbox_id}")
        self.boxes = [each for each in self.boxes if each.id != sandbox_id]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVALS", ())
    monkeypatch.setattr(module, "INTERVAL", 0.0)


async def make_room_for(runtime: FakeRuntime) -> None:
    async def kubelet() -> None:
        runtime.did.append("the kubelet is up")

    await make_room(runtime, "etcd", "new", kubelet)  # type: ignore[arg-type]


async def test_what_is_replaced_serves_until_the_kubelet_is_up_and_ends_in_order() -> None:
    runtime = FakeRuntime(box("old", "earlier"), box("other", "earlier", name="kube-proxy"), refusals=1)
    await make_room_for(runtime)
    assert runtime.did == ["the kubelet is up", "stop old in 5 s", "remove old"]
    assert [each.id for each in runtime.boxes] == ["other"]


async def test_what_does_not_run_needs_nobody_to_wait() -> None:
    runtime = FakeRuntime(box("old", "earlier", ready=False))
    await make_room_for(runtime)
    assert runtime.did == ["remove old"]


async def test_there_is_room_beside_a_pod_of_the_same_manifest() -> None:
    runtime = FakeRuntime(box("same", "new"))
    await make_room_for(runtime)
    assert runtime.did == []


@pytest.mark.parametrize("boxes", [[], [box("dead", "new", ready=False)]])
async def test_a_kubelet_that_begins_nothing_is_told_once_per_patience(boxes: list[Sandbox]) -> None:
    runtime, seconds, told = FakeRuntime(*boxes), itertools.count(), []

    def lost(reason: str) -> None:
        told.append(reason)
        if len(told) == 2:
            runtime.boxes = [box("new", "new")]

    patience = SandboxPatience(20.0, now=lambda: float(next(seconds)))
    await reconcile(runtime, {"etcd": "new"}, lost=lost, patience=patience)  # type: ignore[arg-type]
    assert [text.partition(":")[0] for text in told] == [
        "it has not begun a static pod in 20 s",
        "it has not begun a static pod in 40 s",
    ]
    assert 60 <= next(seconds) <= 64


async def test_no_kubelet_is_told_while_an_earlier_pod_is_being_removed() -> None:
    seconds = itertools.count(step=100)
    patience = SandboxPatience(20.0, now=lambda: float(next(seconds)))
    assert not patience.lost(absent=True)
    assert not patience.lost(absent=False)
    assert not patience.lost(absent=True)
    assert patience.lost(absent=True)
