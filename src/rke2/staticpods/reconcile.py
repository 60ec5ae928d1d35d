"""Sandboxes of earlier static pods are removed before the node counts on the new ones (lifecycle reference §2, §4).

The kubelet starts a changed static pod as a new pod with another uid and may leave the old sandbox running for a while.
Until the old kube-apiserver is gone it still holds the port, and its answers are those of the old configuration.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from rke2.content.cri import CRI, Sandbox
from rke2.errors import ComponentError
from rke2.staticpods.manifest import NAMESPACE

log = logging.getLogger(__name__)

WATCHED = ("etcd", "kube-apiserver")
"""The pods that must run in their newest version before the apiserver counts as ready."""

TIMEOUT = 1800.0
INTERVAL = 1.0
"""Seconds. RKE2 looks every 20 seconds; here the boot waits for it."""


@dataclass(frozen=True)
class Verdict:
    """What is to be done for one static pod: sandboxes to remove, and why it is not settled (empty: it is)."""

    remove: tuple[Sandbox, ...]
    waiting: str


def judge(name: str, uid: str, sandboxes: Iterable[Sandbox]) -> Verdict:
    """Compare the sandboxes that exist with the manifest.

    Args:
        name: of the component.
        uid: of the pod in the manifest.
        sandboxes: all that the runtime has; those of other pods are ignored.
    """
    own = sorted((box for box in sandboxes if _belongs(box, name)), key=lambda box: box.created)
    current = [box for box in own if box.uid == uid]
    newest = current[-1] if current else None
    stale = tuple(box for box in own if box is not newest)
    if stale:
        return Verdict(stale, f"{name}: waiting for termination of old pod sandbox {stale[0].id[:13]}")
    if newest is None:
        return Verdict((), f"{name}: pod sandbox not found")
    return Verdict((), "" if newest.ready else f"{name}: pod sandbox is not ready")


def _belongs(sandbox: Sandbox, name: str) -> bool:
    return (
        sandbox.namespace == NAMESPACE
        and sandbox.labels.get("component") == name
        and sandbox.labels.get("tier") == "control-plane"
    )


def from_files(components: Collection[str], sandboxes: Iterable[Sandbox]) -> tuple[Sandbox, ...]:
    """The sandboxes of static pods (not of API objects) of these components."""
    return tuple(
        box
        for box in sandboxes
        if box.namespace == NAMESPACE
        and box.labels.get("component") in components
        and box.annotations.get("kubernetes.io/config.source") == "file"
    )


async def reconcile(cri: CRI, uids: Mapping[str, str], timeout: float = TIMEOUT) -> None:
    """Remove stale sandboxes until every pod runs in the version of its manifest.

    Args:
        uids: component -> uid in its manifest; components without a manifest are left out.
        timeout: seconds.

    Raises:
        ComponentError: some pod did not settle in time.
    """
    waiting = ""
    try:
        async with asyncio.timeout(timeout):
            while True:
                waiting = await _reconcile_once(cri, uids, waiting)
                if not waiting:
                    return
                await asyncio.sleep(INTERVAL)
    except TimeoutError as error:
        raise ComponentError(f"static pods did not settle in {timeout:.0f} s: {waiting}") from error


async def _reconcile_once(cri: CRI, uids: Mapping[str, str], before: str) -> str:
    try:
        sandboxes = await cri.sandboxes(NAMESPACE)
        verdicts = [judge(name, uid, sandboxes) for name, uid in uids.items()]
        for sandbox in (box for verdict in verdicts for box in verdict.remove):
            log.info("removing sandbox %s of an earlier %s pod", sandbox.id[:13], sandbox.name)
            await cri.remove_sandbox(sandbox.id)
    except ComponentError as error:
        log.warning("static pods: %s", error)
        return str(error)
    waiting = "; ".join(verdict.waiting for verdict in verdicts if verdict.waiting)
    if waiting and waiting != before:
        log.info("static pods: %s", waiting)
    return waiting


async def remove_static_pods(cri: CRI, components: Collection[str], timeout: float = 300.0) -> None:
    """Remove the sandboxes of these components' static pods; their manifests must be gone already.

    Raises:
        ComponentError: some are left after `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            while sandboxes := from_files(components, await cri.sandboxes(NAMESPACE)):
                for sandbox in sandboxes:
                    log.info("removing sandbox %s of static pod %s", sandbox.id[:13], sandbox.name)
                    await cri.remove_sandbox(sandbox.id)
                await asyncio.sleep(INTERVAL)
    except TimeoutError as error:
        raise ComponentError(
            "static pod cleanup timed out", "see containerd's log for why sandboxes stay"
        ) from error
