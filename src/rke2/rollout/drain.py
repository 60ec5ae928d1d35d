"""Moving the pods of a node away, as ``kubectl drain`` does for upstream's job.

The pods of DaemonSets and mirrors of static pods stay. All others are evicted, which a PodDisruptionBudget may refuse
for a while: the eviction is asked for again until the time is over. What nobody would start again ends nothing here:
such a pod is the reason why the node is not drained.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rke2.errors import KubeError, RKE2Error
from rke2.kube.client import Client
from rke2.kube.objects import Key, Object, annotations_of, key_of, labels_of, metadata
from rke2.kube.persistence import is_outage
from rke2.kube.resources import PODS
from rke2.lifecycle.clock import CLOCK, Clock
from rke2.rollout.facts import elapsed
from rke2.rollout.plan import DrainSpec

log = logging.getLogger(__name__)

POLL = 2.0
"""Seconds between two looks, and between two attempts at an eviction that was refused."""
_MIRROR = "kubernetes.io/config.mirror"
_OF_A_PLAN = "upgrade.cattle.io/controller"
"""Label of the pods that upstream's jobs run in; they would end themselves."""
_ENDED = ("Succeeded", "Failed")


class DrainError(RKE2Error):
    """A node that still has pods."""


@dataclass(frozen=True)
class DrainSelection:
    """What a drain does to the pods of a node.

    Args:
        evict: those that have to go.
        refused: those that must not be ended, and why.
    """

    evict: tuple[Object, ...]
    refused: Mapping[Key, str]


def select(pods: Iterable[Object], spec: DrainSpec, now: datetime) -> DrainSelection:
    """Which of the pods of a node are moved away."""
    evict: list[Object] = []
    refused: dict[Key, str] = {}
    for pod in pods:
        if _stays(pod, spec, now):
            continue
        why = next(_refusals(pod, spec), "")
        if why:
            refused[key_of(pod)] = why
        else:
            evict.append(pod)
    return DrainSelection(tuple(evict), refused)


def _stays(pod: Object, spec: DrainSpec, now: datetime) -> bool:
    if _MIRROR in annotations_of(pod) or _OF_A_PLAN in labels_of(pod):
        return True
    if spec.pod_selector and not spec.pod_selector.matches(labels_of(pod)):
        return True
    if _controller(pod) == "DaemonSet" and spec.ignore_daemon_sets is not False and not _has_ended(pod):
        return True
    ending = elapsed(metadata(pod).get("deletionTimestamp", ""), now)
    return bool(spec.skip_wait_for_delete_timeout) and (ending or 0) > spec.skip_wait_for_delete_timeout


def _refusals(pod: Object, spec: DrainSpec) -> Iterator[str]:
    if _has_ended(pod):
        return
    controller = _controller(pod)
    if controller == "DaemonSet":
        yield "it belongs to a DaemonSet (spec.drain.ignoreDaemonSets)"
    if not controller and not spec.force:
        yield "nobody would start it again (spec.drain.force)"
    keeps = spec.delete_emptydir_data is False or spec.delete_local_data is False
    if keeps and any("emptyDir" in volume for volume in (pod.get("spec") or {}).get("volumes") or ()):
        yield "the data of its emptyDir would be lost (spec.drain.deleteEmptydirData)"


def _controller(pod: Object) -> str:
    """Kind of what keeps the pod running; empty if nobody does."""
    owners = metadata(pod).get("ownerReferences") or ()
    return next((str(owner.get("kind")) for owner in owners if owner.get("controller")), "")


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in _ENDED


async def drain(client: Client, node: str, spec: DrainSpec, seconds: float, clock: Clock = CLOCK) -> None:
    """Move the pods of `node`, which takes no new ones, away.

    Args:
        seconds: how long to try if the Plan does not say.

    Raises:
        DrainError: pods are left; says which and why.
        KubeError: the API server refuses something else.
    """
    patience = spec.patience
    limit = patience.total_seconds() if patience else seconds
    end = clock.now() + limit
    selection = await _look(client, node, spec)
    if selection.refused:
        raise DrainError(f"cannot drain: {_told(selection.refused)}")
    refusals: dict[Key, str] = {}
    while selection.evict:
        refusals = dict(await _evict(client, selection.evict, spec))
        if clock.now() >= end:
            left = {key_of(pod): refusals.get(key_of(pod), "it does not end") for pod in selection.evict}
            raise DrainError(f"drain did not complete within {limit:.0f} s: {_told(left)}")
        await clock.sleep(min(POLL, max(0.0, end - clock.now())))
        selection = await _look(client, node, spec)


async def _look(client: Client, node: str, spec: DrainSpec) -> DrainSelection:
    pods = await client.list(PODS, field_selector=f"spec.nodeName={node}")
    return select(pods.items, spec, datetime.now(UTC))


async def _evict(client: Client, pods: Iterable[Object], spec: DrainSpec) -> list[tuple[Key, str]]:
    """Ask for all of them at once; those that were refused for now, and why."""
    due = [pod for pod in pods if "deletionTimestamp" not in metadata(pod)]
    answers = await asyncio.gather(*(_end(client, pod, spec) for pod in due))
    return [(key_of(pod), why) for pod, why in zip(due, answers, strict=True) if why]


async def _end(client: Client, pod: Object, spec: DrainSpec) -> str:
    key = key_of(pod)
    # Exactly this pod: another one of its name, as a StatefulSet makes it, runs elsewhere by now.
    options: dict[str, Any] = {"preconditions": {"uid": metadata(pod).get("uid")}}
    if spec.grace_period is not None and spec.grace_period >= 0:
        options["gracePeriodSeconds"] = spec.grace_period
    try:
        if spec.disable_eviction:
            await client.request("DELETE", PODS.path(*key), body=options)
        else:
            await client.request("POST", PODS.path(*key, "eviction"), body=_eviction(key, options))
    except KubeError as error:
        if error.status == 404:
            return ""
        # 429: a PodDisruptionBudget; 403: its namespace is being removed, and the pod with it.
        if error.status in (403, 429) or is_outage(error):
            return error.message.rpartition(": ")[2]
        raise
    log.info("drain: pod %s was told to end", key)
    return ""


def _eviction(key: Key, options: dict[str, Any]) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "deleteOptions": options,
    }


def _told(pods: Mapping[Key, str]) -> str:
    return "; ".join(f"pod {key}: {why}" for key, why in sorted(pods.items()))
