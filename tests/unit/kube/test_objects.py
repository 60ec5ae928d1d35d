from __future__ import annotations

from collections.abc import Callable

import pytest
from yarl import URL

from rke2.errors import KubeError
from rke2.kube.objects import GVK, condition_is_true
from rke2.kube.resources import CLUSTER_ROLES, CONFIG_MAPS, JOBS, NODES, Resource


@pytest.mark.parametrize("text", ["/v1, Kind=ConfigMap", "apps/v1, Kind=Deployment"])
def test_gvk_reads_what_it_writes(text: str) -> None:
    assert str(GVK.parse(text)) == text


@pytest.mark.parametrize("text", ["", "v1, Kind=ConfigMap", "apps/v1", "apps/v1, Kind=", "/, Kind=X"])
def test_other_texts_are_no_gvk(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        GVK.parse(text)


def test_paths() -> None:
    assert CONFIG_MAPS.path("ns", "a") == "/api/v1/namespaces/ns/configmaps/a"
    assert JOBS.path() == "/apis/batch/v1/jobs"
    assert NODES.path("ignored", "n", "status") == "/api/v1/nodes/n/status"


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("system:node-proxier", "system:node-proxier"),
        ("a?watch", "a%3Fwatch"),
        ("a#b", "a%23b"),
        ("a b\r\nc", "a%20b%0D%0Ac"),
        ("ä", "%C3%A4"),
        ("\udc80", "%80"),
    ],
)
def test_a_name_stays_one_component_of_a_path(name: str, component: str) -> None:
    """Roles may be called like that."""
    path = CLUSTER_ROLES.path(name=name)
    assert path == f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{component}"
    assert URL(f"https://server{path}").raw_path == path


@pytest.mark.parametrize("name", [".", "..", "a/b", "../pods/a", "a%2fb", "%2e%2e"])
def test_a_name_that_leaves_its_component_is_refused(name: str) -> None:
    """The API server decodes before it splits, so encoding is not enough."""
    kind = Resource(GVK(name, "v1", "A"), "as")
    version = Resource(GVK("a", name, "A"), "as")
    asked: tuple[Callable[[], str], ...] = (
        lambda: CONFIG_MAPS.path(name, "a"),
        lambda: CONFIG_MAPS.path("a", name),
        lambda: CONFIG_MAPS.path("a", "a", name),
        lambda: kind.path("a", "a"),
        lambda: version.path("a", "a"),
    )
    for ask in asked:
        with pytest.raises(KubeError, match="is not a valid name") as refused:
            ask()
        assert refused.value.status == 400


def test_conditions() -> None:
    obj = {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}]}}
    assert condition_is_true(obj, "A")
    assert not condition_is_true(obj, "B")
    assert not condition_is_true({"status": None}, "A")
