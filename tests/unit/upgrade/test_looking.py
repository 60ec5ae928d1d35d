"""What the API servers say becomes facts."""

from __future__ import annotations

import json
from typing import Any

from rke2.upgrade.facts import RequestedApi
from rke2.upgrade.looking import node_facts, requested_apis
from tests.unit.upgrade.facts import version

METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="a.b",removed_release="1.40",resource="c",subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="a.b",removed_release="1.40",resource="d",subresource="",version="v1"} 0
apiserver_request_total{code="200"} 7
"""


def test_deprecated_apis_are_those_the_metrics_name() -> None:
    assert list(requested_apis(METRICS)) == [
        RequestedApi("", "v1", "endpoints"),
        RequestedApi("a.b", "v1beta1", "c", "1.40"),
    ]
    assert [api.name for api in requested_apis(METRICS)] == ["endpoints.v1", "c.v1beta1.a.b"]


def a_node(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "server-0",
            "labels": {"node-role.kubernetes.io/control-plane": "true"},
            "annotations": {f"rke2.io/{key.replace('_', '-')}": text for key, text in annotations.items()},
        },
        "status": {
            "nodeInfo": {"kubeletVersion": "v1.36.4"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def test_a_node_tells_version_arguments_and_role() -> None:
    found = node_facts(a_node(node_args=json.dumps(["server", "--kubelet-arg", "v=2"])), {"server-0": 5})
    assert found.kubelet == version("v1.36.4")
    assert found.server and found.ready
    assert found.arguments == ("server", "--kubelet-arg", "v=2")
    assert found.free == 5


def test_a_node_without_what_rke2_writes_is_one_without_arguments() -> None:
    assert node_facts(a_node(node_args="{"), {}).arguments == ()
    bare = node_facts({"metadata": {"name": "x"}}, {})
    assert (bare.kubelet, bare.server, bare.ready, bare.arguments, bare.free) == (
        None,
        False,
        False,
        (),
        None,
    )
