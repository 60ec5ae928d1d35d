"""What a release has to show before it counts as proven."""

from __future__ import annotations

from typing import Any

import pytest

from rke2.installation.proof import lacking

VERSION = "v1.37.2+rke2py1"
STATIC = {"kube-proxy": frozenset({"reg/hardened-kubernetes:v1.37.2"})}


def _conditions(ready: bool) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}


def _node(kubelet: str = "v1.37.2", *, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": "agent-0"},
        "status": {"nodeInfo": {"kubeletVersion": kubelet}, **_conditions(ready)},
    }


def _pod(name: str, image: str, owner: str = "", *, ready: bool = True, **metadata: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "ownerReferences": [{"kind": owner}] if owner else [], **metadata},
        "spec": {"containers": [{"image": image}]},
        "status": _conditions(ready),
    }


PROXY = _pod("kube-proxy-agent-0", "reg/hardened-kubernetes:v1.37.2")
CANAL = _pod("rke2-canal-x", "reg/canal", "DaemonSet")


@pytest.mark.parametrize(
    ("node", "pods", "said"),
    [
        (None, [PROXY], "registered"),
        (_node("v1.36.4"), [PROXY], "still says v1.36.4"),
        (_node(ready=False), [PROXY], "the Node to be Ready"),
        (_node(), [], "static pod kube-proxy"),
        (_node(), [_pod("kube-proxy-agent-0", "reg/hardened-kubernetes:v1.36.4")], "static pod kube-proxy"),
        (_node(), [_pod(PROXY["metadata"]["name"], *STATIC["kube-proxy"], ready=False)], "static pod"),
        (_node(), [PROXY, _pod("rke2-canal-x", "reg/canal", "DaemonSet", ready=False)], "rke2-canal-x"),
    ],
)
def test_what_is_missing(node: dict[str, Any] | None, pods: list[dict[str, Any]], said: str) -> None:
    assert said in lacking(node, pods, VERSION, STATIC)


def test_proven() -> None:
    ending = _pod("rke2-canal-y", "reg/canal", "DaemonSet", ready=False, deletionTimestamp="now")
    own = _pod("web", "reg/web", "ReplicaSet", ready=False)
    assert lacking(_node("v1.37.2+rke2py1"), [PROXY, CANAL, ending, own], VERSION, STATIC) == ""
