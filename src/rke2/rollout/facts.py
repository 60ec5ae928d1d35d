"""What is decided by: the Nodes as far as they matter to Plans, and what only this process knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from rke2.kube.nodes import is_server
from rke2.kube.objects import Object, condition_is_true, labels_of, metadata, name_of
from rke2.release_version import ReleaseVersion
from rke2.rollout.names import HOSTNAME
from rke2.rollout.node_request import ENDED, UpgradeAnswer, UpgradeRequest, read_answer, read_request
from rke2.rollout.plan import ClusterPlan


@dataclass(frozen=True)
class RolloutNode:
    """A Node.

    Args:
        host: its label ``kubernetes.io/hostname``, by which ``status.applying`` names it; empty if it has none.
        running: the version of its kubelet; None if it does not say.
    """

    name: str
    host: str
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    server: bool = False
    ready: bool = True
    running: ReleaseVersion | None = None
    unschedulable: bool = False
    request: UpgradeRequest | None = None
    answer: UpgradeAnswer | None = None
    seen: str = field(default="", compare=False)
    """Its resourceVersion."""

    @classmethod
    def of(cls, node: Object) -> RolloutNode:
        info = (node.get("status") or {}).get("nodeInfo") or {}
        return cls(
            name=name_of(node),
            host=labels_of(node).get(HOSTNAME, ""),
            uid=str(metadata(node).get("uid", "")),
            labels=labels_of(node),
            server=is_server(node),
            ready=condition_is_true(node, "Ready"),
            running=ReleaseVersion.parse(str(info.get("kubeletVersion", ""))),
            unschedulable=bool((node.get("spec") or {}).get("unschedulable")),
            request=read_request(node),
            answer=read_answer(node),
            seen=str(metadata(node).get("resourceVersion", "")),
        )

    @property
    def said(self) -> UpgradeAnswer | None:
        """The answer to the present request; one to an earlier request says nothing of this one."""
        if self.request and self.answer and self.answer.hash == self.request.hash:
            return self.answer
        return None

    @property
    def step(self) -> str:
        return self.said.step if self.said else ""

    @property
    def busy(self) -> bool:
        """Whether it was asked for more than staging, and has not come to an end."""
        return bool(self.request and not self.request.stage and self.step not in ENDED)

    def asked(self, plan: ClusterPlan) -> bool:
        """Whether it was told to upgrade, not only to stage."""
        return bool(self.request and self.request.hash == plan.hash and not self.request.stage)

    def heard(self, plan: ClusterPlan) -> bool:
        """Whether it was asked for anything of `plan`."""
        return bool(self.request and self.request.hash == plan.hash)

    def runs(self, version: ReleaseVersion) -> bool:
        """Whether its kubelet is at least that of `version`."""
        return self.running is not None and self.running.numbers >= version.numbers


class Turn(NamedTuple):
    """A node that is made ready for a Plan, as it was when that began."""

    plan: str
    hash: str
    node: str


def turn_of(plan: ClusterPlan, node: RolloutNode) -> Turn:
    return Turn(plan.uid, plan.hash, node.name)


@dataclass(frozen=True)
class RolloutFacts:
    """What the Nodes do not say.

    Args:
        now: knows its zone.
        drained: nodes whose pods are gone; `stuck`: nodes whose pods would not go, and why.
        trouble: why no server may be upgraded now; empty if nothing is in the way, or nobody has asked yet.
        snapshots: whether this server can take some; `no_snapshot`: why the last one failed.
    """

    now: datetime
    drained: frozenset[Turn] = frozenset()
    stuck: Mapping[Turn, str] = field(default_factory=dict)
    trouble: str = ""
    snapshots: bool = False
    no_snapshot: str = ""


def elapsed(since: str, now: datetime) -> float | None:
    """Seconds since an RFC 3339 time; None if it is not one."""
    try:
        return (now - datetime.fromisoformat(since)).total_seconds()
    except (ValueError, TypeError):
        return None
