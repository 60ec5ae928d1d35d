import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.content.cri import Sandbox
from rke2.staticpods.reconcile import from_files, judge


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
