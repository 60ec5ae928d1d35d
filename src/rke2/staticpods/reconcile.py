"""Sandboxes of earlier static pods are removed before the node counts on the new ones (lifecycle reference §2, §4).

The kubelet starts a changed static pod as a new pod with another uid and knows nothing of the old one's sandbox, if it
never saw the old manifest. Until the old kube-apiserver is gone it holds the port, and its answers are those of the old
configuration.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from rke2.content.images.cri import CRI, Sandbox
from rke2.errors import ComponentError
from rke2.staticpods.manifest import NAMESPACE

log = logging.getLogger(__name__)

TIMEOUT = 1800.0
INTERVALS = (0.25,) * 40
"""Seconds between the first questions to the runtime, as long as somebody waits for an API server."""
INTERVAL = 1.0
"""Seconds between all later ones. RKE2 looks every 20 seconds; here the boot waits for it."""

PATIENCE = 20.0
"""Seconds that the kubelet may leave a pod without any sandbox, at first. It begins a pod within one, usually."""

GRACE = {"etcd": 5, "kube-apiserver": 1}
"""Seconds in which a pod that is replaced ends by itself: etcd hands its leadership on, which otherwise costs the
cluster an election; an API server finishes the calls that it has taken. It would wait for its watches, too."""
OTHERS_GRACE = 2


@dataclass(frozen=True)
class Verdict:
    """What is to be done for one static pod: sandboxes to remove, and why it is not settled (empty: it is).

    Args:
        absent: none runs at all, neither an old one nor the new one.
    """

    remove: tuple[Sandbox, ...]
    waiting: str
    absent: bool = False


@dataclass
class SandboxPatience:
    """Tells when the kubelet has left a pod without a sandbox for too long.

    The next time after twice as long: on a machine that is so busy that the kubelet needs more, ending it helps nobody.
    """

    limit: float = PATIENCE
    now: Callable[[], float] = time.monotonic
    _since: float | None = field(default=None, init=False)

    def lost(self, *, absent: bool) -> bool:
        """Whether it is lost now; `absent` is whether no sandbox runs at the moment."""
        now = self.now()
        # Any sandbox in between starts the time again: the kubelet is at work then, if slowly.
        self._since = (self._since if self._since is not None else now) if absent else None
        if self._since is None or now - self._since < self.limit:
            return False
        self._since, self.limit = now, self.limit * 2
        return True


def judge(name: str, uid: str, sandboxes: Iterable[Sandbox]) -> Verdict:
    """Compare the sandboxes that exist with the manifest.

    Args:
        name: of the component.
        uid: of the pod in the manifest.
        sandboxes: all that the runtime has; those of other pods are ignored.
    """
    # The kubelet may have made several sandboxes for one uid; of those only the newest is in use.
    own = sorted((box for box in sandboxes if belongs(box, name)), key=lambda box: box.created)
    current = [box for box in own if box.uid == uid]
    newest = current[-1] if current else None
    stale = tuple(box for box in own if box is not newest)
    if stale:
        return Verdict(stale, f"{name}: waiting for termination of old pod sandbox {stale[0].id[:13]}")
    if newest is None:
        return Verdict((), f"{name}: pod sandbox not found", absent=True)
    if not newest.ready:
        return Verdict((), f"{name}: pod sandbox is not ready", absent=True)
    return Verdict((), "")


def belongs(sandbox: Sandbox, name: str) -> bool:
    """Whether it is of that component of the control plane."""
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
        # Labels can be anybody's; this annotation is the kubelet's.
        and box.annotations.get("kubernetes.io/config.source") == "file"
    )


async def make_room(
    cri: CRI, name: str, uid: str, first: Callable[[], Awaitable[None]], timeout: float = TIMEOUT
) -> None:
    """Remove the sandboxes of earlier pods of a component, before the kubelet is shown the one that replaces them.

    A new pod beside the old one would find its port taken, end, and wait in the kubelet's back-off.

    Args:
        name: of the component.
        uid: of the pod that it will be.
        first: awaited before anything is stopped; not at all if nothing runs.
        timeout: seconds.

    Raises:
        ComponentError: some are left.
    """
    reason, begun = "", False
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    stale = judge(name, uid, await cri.sandboxes(NAMESPACE)).remove
                    if not stale:
                        return
                    # Once: as soon as something was stopped, to wait again for the kubelet
                    # would only make the gap longer.
                    if not begun and any(sandbox.ready for sandbox in stale):
                        await first()
                        begun = True
                    await _remove(cri, name, stale)
                    continue
                except ComponentError as error:
                    log.warning("static pods: %s", error)
                    reason = error.message
                await asyncio.sleep(INTERVAL)
    except TimeoutError as error:
        raise ComponentError(
            f"the earlier {name} pod could not be removed in {timeout:.0f} s: {reason}"
        ) from error


async def _remove(cri: CRI, name: str, sandboxes: Iterable[Sandbox]) -> None:
    for sandbox in sandboxes:
        log.info("removing sandbox %s of static pod %s", sandbox.id[:13], sandbox.name)
        if sandbox.ready:
            # Before the sandbox goes: its removal kills what runs in it without any grace.
            await cri.stop_containers(sandbox.id, GRACE.get(name, OTHERS_GRACE))
        await cri.remove_sandbox(sandbox.id)


async def reconcile(
    cri: CRI,
    uids: Mapping[str, str],
    timeout: float = TIMEOUT,
    *,
    lost: Callable[[str], None] = lambda reason: None,
    patience: SandboxPatience | None = None,
) -> None:
    """Remove stale sandboxes until every pod runs in the version of its manifest.

    Args:
        uids: component -> uid in its manifest; components without a manifest are left out.
        timeout: seconds.
        lost: called with the reason when the kubelet does not begin a pod, to have another kubelet try.
        patience: for how long it may not.

    Raises:
        ComponentError: some pod did not settle in time.
    """
    waiting, pauses, patience = "", iter(INTERVALS), patience or SandboxPatience()
    try:
        async with asyncio.timeout(timeout):
            while True:
                waiting, absent = await _reconcile_once(cri, uids, waiting)
                if not waiting:
                    return
                if patience.lost(absent=absent):
                    # Half of it: `patience.lost` has doubled the limit already.
                    lost(f"it has not begun a static pod in {patience.limit / 2:.0f} s: {waiting}")
                await asyncio.sleep(next(pauses, INTERVAL))
    except TimeoutError as error:
        raise ComponentError(f"static pods did not settle in {timeout:.0f} s: {waiting}") from error


async def _reconcile_once(cri: CRI, uids: Mapping[str, str], before: str) -> tuple[str, bool]:
    """What is still waited for, and whether there is a pod of which nothing runs."""
    try:
        sandboxes = await cri.sandboxes(NAMESPACE)
        verdicts = {name: judge(name, uid, sandboxes) for name, uid in uids.items()}
        for name, verdict in verdicts.items():
            await _remove(cri, name, verdict.remove)
    except ComponentError as error:
        log.warning("static pods: %s", error)
        # Not absent: a runtime that does not answer says nothing against the
        # kubelet, which is not to be ended.
        return str(error), False
    waiting = "; ".join(verdict.waiting for verdict in verdicts.values() if verdict.waiting)
    if waiting and waiting != before:
        log.info("static pods: %s", waiting)
    return waiting, any(verdict.absent for verdict in verdicts.values())


async def remove_static_pods(cri: CRI, components: Collection[str], timeout: float = 300.0) -> None:
    """Remove the sandboxes of these components' static pods; their manifests must be gone already.

    Raises:
        ComponentError: some are left after `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            while sandboxes := from_files(components, await cri.sandboxes(NAMESPACE)):
                for sandbox in sandboxes:
                    await _remove(cri, sandbox.labels["component"], [sandbox])
                await asyncio.sleep(INTERVAL)
    except TimeoutError as error:
        raise ComponentError(
            "static pod cleanup timed out", "see containerd's log for why sandboxes stay"
        ) from error
