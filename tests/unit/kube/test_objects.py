from __future__ import annotations

import pytest

from rke2.kube.objects import GVK, condition_is_true
from rke2.kube.resources import CONFIG_MAPS, JOBS, NODES


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


def test_conditions() -> None:
    obj = {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}]}}
    assert condition_is_true(obj, "A")
    assert not condition_is_true(obj, "B")
    assert not condition_is_true({"status": None}, "A")
