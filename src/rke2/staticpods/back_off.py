"""Static pods that the kubelet holds back because they have ended too often, started at once.

A kubelet counts by the containers that it finds: of a new sandbox there are none. It looks at them when it begins to
work on a pod, and then asks the API server for a mirror of it. So there are two moments for the removal of a sandbox:
while that question is not answered yet, or when nothing has happened for a while. In between it starts a container in
the sandbox that is being removed, whose end counts, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rke2.content.images.cri import CRI
from rke2.errors import ComponentError
from rke2.staticpods.manifest import NAMESPACE
from rke2.staticpods.reconcile import belongs

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Longer than a kubelet takes to begin a container that it does not hold back."""
LOOKS = 15
TIMES = 3
"""So often at most: one that ends whatever is done, for a wrong argument, is the kubelet's to hold back."""


async def end_back_off(cri: CRI, name: str) -> None:
    """Have the kubelet start a component at once that has ended; what runs, or has not begun, is left alone.

    Args:
        name: of the component.
    """
    try:
        await _remove(cri, name, await _ended(cri, name))
    except ComponentError as error:
        # The kubelet starts it in any case, only later.
        log.warning("static pods: %s", error)


async def keep_out_of_back_off(
    cri: CRI, name: str, answers: Callable[[], Awaitable[bool]], *, pause: float = LOOK_SECONDS
) -> None:
    """Do the same a few times for a component that ends once more, for a while.

    Args:
        answers: whether it does; the runtime is asked only if not.
        pause: seconds between two looks. What the second finds as the first did is held back.
    """
    before, left = frozenset[tuple[str, str]](), TIMES
    for _ in range(LOOKS):
        await asyncio.sleep(pause)
        try:
            now = frozenset() if await answers() else await _ended(cri, name)
            # The kubelet may be starting the next container at this moment; removed
            # under it, that counts as ended again.
            if left and now and now == before:
                left -= 1
                await _remove(cri, name, now)
        except ComponentError as error:
            log.warning("static pods: %s", error)
            # `before` stays: a runtime that failed once must not make the component look as if it ran.
            continue
        before = now


async def _ended(cri: CRI, name: str) -> frozenset[tuple[str, str]]:
    """Sandboxes of the component in which everything has ended, each with every container that has."""
    # One that is down is replaced by the kubelet itself, and in the new sandbox there is nothing to count.
    own = [box for box in await cri.sandboxes(NAMESPACE) if belongs(box, name) and box.ready]
    return frozenset([(box.id, container) for box in own for container in await cri.ended(box.id)])


async def _remove(cri: CRI, name: str, ended: frozenset[tuple[str, str]]) -> None:
    for sandbox in {sandbox for sandbox, _ in ended}:
        log.info("removing sandbox %s: %s has ended in it", sandbox[:13], name)
        await cri.remove_sandbox(sandbox)
