"""What makes a Plan invalid, in upstream's words where upstream has some."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rke2.rollout.names import IMAGE
from rke2.rollout.plan import ContainerSpec, DrainSpec, PlanSpec
from rke2.rollout.window import parse_window

UNRESOLVABLE = "cannot resolve plan: missing channel and version"


def problems(spec: PlanSpec, secrets: Collection[str]) -> Iterator[str]:
    """Everything that is wrong with a Plan.

    Args:
        secrets: names of those in its namespace.
    """
    if spec.drain:
        yield from _of_drain(spec.drain)
    if spec.window:
        yield from _of_window(spec)
    yield from _of_delay(spec)
    yield from (
        f'secrets "{each.name}" not found'
        for each in spec.secrets
        if not each.ignore_updates and each.name not in secrets
    )
    if spec.node_selector and spec.node_selector.problem:
        yield f"spec.nodeSelector: {spec.node_selector.problem}"
    if spec.concurrency < 0:
        yield "spec.concurrency is negative"
    yield from _of_container("upgrade", spec.upgrade)
    if spec.prepare:
        yield from _of_container("prepare", spec.prepare)
        if not (len(spec.prepare.args) == 2 and spec.prepare.args[0] == "prepare"):
            yield "spec.prepare.args are not [prepare, PLAN]"


def _of_drain(drain: DrainSpec) -> Iterator[str]:
    if drain.delete_emptydir_data is not None and drain.delete_local_data is not None:
        yield "spec.drain cannot specify both deleteEmptydirData and deleteLocalData"
    if drain.pod_selector and drain.pod_selector.problem:
        yield f"spec.drain.podSelector is not selectable: {drain.pod_selector.problem}"
    try:
        drain.patience  # noqa: B018
    except ValueError as error:
        yield f"spec.drain.timeout: {error}"


def _of_window(spec: PlanSpec) -> Iterator[str]:
    assert spec.window
    window = spec.window
    try:
        parse_window(window.days, window.start_time, window.end_time, window.time_zone)
    except ValueError as error:
        yield f"spec.window is invalid: {error}"


def _of_delay(spec: PlanSpec) -> Iterator[str]:
    try:
        if spec.delay.total_seconds() < 0:
            yield "spec.postCompleteDelay is negative"
    except ValueError as error:
        yield f"spec.postCompleteDelay: {error}"


def _of_container(what: str, container: ContainerSpec) -> Iterator[str]:
    """Plans of upstream can run any program; the one that is carried out here is an upgrade of RKE2."""
    name = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if name != IMAGE or container.command:
        yield (
            f"spec.{what} is not an upgrade of RKE2 (image {IMAGE}, no command): "
            "install system-upgrade-controller for other Plans"
        )
