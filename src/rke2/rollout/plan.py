"""A Plan as this controller reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from rke2.config.places import with_keys
from rke2.errors import RKE2Error
from rke2.kube.duration import parse_duration
from rke2.kube.objects import Key, Object, annotations_of, key_of, metadata
from rke2.release_version import ReleaseVersion
from rke2.rollout.names import SNAPSHOT
from rke2.rollout.selectors import LabelSelector

DEADLINE = timedelta(seconds=900)
"""What a node has time for if the Plan does not say (upstream's manifest)."""


class PlanError(RKE2Error):
    """A Plan that cannot be read."""


class DrainSpec(msgspec.Struct, frozen=True, rename="camel"):
    """How pods are moved away."""

    timeout: str | int | None = None
    grace_period: int | None = None
    delete_local_data: bool | None = None
    delete_emptydir_data: bool | None = None
    ignore_daemon_sets: bool | None = None
    force: bool = False
    disable_eviction: bool = False
    skip_wait_for_delete_timeout: int = 0
    pod_selector: LabelSelector | None = None

    @property
    def patience(self) -> timedelta | None:
        """How long to try; None if the Plan does not say. Raises ValueError."""
        if not self.timeout:
            return None
        if isinstance(self.timeout, int):
            return timedelta(microseconds=self.timeout / 1000)
        return timedelta(seconds=float(parse_duration(self.timeout)))


class WindowSpec(msgspec.Struct, frozen=True, rename="camel"):
    """When nodes may begin."""

    days: tuple[str, ...] = ()
    start_time: str = ""
    end_time: str = ""
    time_zone: str = ""


class ContainerSpec(msgspec.Struct, frozen=True):
    """A container of upstream's job; only what says what it is for."""

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


class PlanSecret(msgspec.Struct, frozen=True, rename="camel"):
    """A Secret that is part of the hash."""

    name: str
    ignore_updates: bool = False


class PlanSpec(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Plan.spec, without what shapes upstream's job."""

    concurrency: int = 0
    job_active_deadline_secs: int | None = None
    node_selector: LabelSelector | None = None
    service_account_name: str = ""
    channel: str = ""
    version: str = ""
    secrets: tuple[PlanSecret, ...] = ()
    exclusive: bool = False
    window: WindowSpec | None = None
    prepare: ContainerSpec | None = None
    upgrade: ContainerSpec = ContainerSpec()
    cordon: bool = False
    drain: DrainSpec | None = None
    post_complete_delay: str = ""
    post_complete_labels: dict[str, str] = {}

    @property
    def deadline(self) -> timedelta | None:
        """How long a node has; None for as long as it takes."""
        told = self.job_active_deadline_secs
        if told is None or told < 0:
            return DEADLINE
        return timedelta(seconds=told) if told else None

    @property
    def delay(self) -> timedelta:
        """``postCompleteDelay``. Raises ValueError."""
        return timedelta(seconds=float(parse_duration(self.post_complete_delay or "0")))

    @property
    def after(self) -> str:
        """The Plan that has to be done first; empty if there is none."""
        args = self.prepare.args if self.prepare else ()
        return args[1] if len(args) == 2 else ""

    @property
    def makes_way(self) -> bool:
        """Whether a node takes no new pods while it is upgraded."""
        return self.cordon or self.drain is not None


class ClusterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A Plan, valid and resolved.

    Args:
        age: sorts Plans, the oldest first.
        target: what nodes are to run.
        hash: ``status.latestHash``.
        applying: ``status.applying``, host names of nodes.
        snapshot: of the etcd data, taken before the first server of this hash; empty if none was.
    """

    key: Key
    uid: str
    spec: PlanSpec
    target: ReleaseVersion
    hash: str
    age: str = ""
    applying: tuple[str, ...] = ()
    snapshot: str = ""

    @property
    def name(self) -> str:
        return self.key.name


def read_spec(obj: Object) -> PlanSpec:
    """The spec of a Plan.

    Raises:
        PlanError: it has a value of the wrong type, which the schema lets nobody store.
    """
    spec: dict[str, Any] = {key: value for key, value in (obj.get("spec") or {}).items() if value is not None}
    try:
        return msgspec.convert(spec, PlanSpec)
    except msgspec.ValidationError as error:
        raise PlanError(f"spec: {with_keys(error, spec, PlanSpec)}") from error


def read_plan(obj: Object, spec: PlanSpec, status: Object) -> ClusterPlan | None:
    """The Plan with the `status` it has been given; None if its version is not that of a release."""
    target = ReleaseVersion.parse(str(status.get("latestVersion", "")))
    if target is None:
        return None
    digest = str(status.get("latestHash", ""))
    taken, _, snapshot = annotations_of(obj).get(SNAPSHOT, "").partition(" ")
    return ClusterPlan(
        key=key_of(obj),
        uid=str(metadata(obj).get("uid", "")),
        spec=spec,
        target=target,
        hash=digest,
        age=str(metadata(obj).get("creationTimestamp", "")),
        applying=tuple(status.get("applying") or ()),
        snapshot=snapshot if taken == digest else "",
    )
