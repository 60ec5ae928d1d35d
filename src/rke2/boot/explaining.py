"""What a phase waits for, followed by why it waits: a pod that does not answer says nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from rke2.boot.node import Node
from rke2.causes import static_pod
from rke2.causes.kubelet import said_of
from rke2.components.kubelet_config import log_settings
from rke2.lifecycle.logfile import LogFile

AFTER = 4.0
"""Seconds that a condition has before it is asked why: nearly all hold by then."""

EVERY = 3.0
"""Seconds between two looks; each reads the end of some logs."""

Condition = Callable[[], Awaitable[str]]
Look = Callable[[], str]


class Explained:
    """A condition as `rke2.lifecycle.waiting.until` asks for it, whose reasons to wait end with their cause.

    Args:
        condition: says why not yet.
        look: finds the cause; reads files, and runs in a thread.
        now: seconds that never go back.
    """

    def __init__(self, condition: Condition, look: Look, now: Callable[[], float] = time.monotonic) -> None:
        self._condition, self._look, self._now = condition, look, now
        self._due = now() + AFTER
        self._cause = ""

    async def __call__(self) -> str:
        reason = await self._condition()
        if reason and self._now() >= self._due:
            # Kept until the next look: otherwise the cause would vanish from the status in between.
            self._cause = await asyncio.to_thread(self._look)
            self._due = self._now() + EVERY
        return f"{reason}: {self._cause}" if reason and self._cause else reason


def explained(node: Node, pod: str, condition: Condition) -> Explained:
    """`condition`, which waits for the static pod `pod` of this node."""
    return Explained(condition, partial(cause_of_pod, node, pod))


def cause_of_pod(node: Node, pod: str) -> str:
    """Why a static pod of this node does not answer; empty if nobody knows."""
    config, since = node.config, node.progress.status.started
    log = log_settings(config).file
    return static_pod.causes((pod,), config.paths, config.node.name, since, log=log).get(pod, "")


async def until_registered(node: Node, work: Awaitable[None]) -> None:
    """Do `work`, which waits for this node's Node; say meanwhile what the kubelet has against registering it."""
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(_tell_of_registration(node))
        await work
        telling.cancel()


async def _tell_of_registration(node: Node) -> None:
    log, name = LogFile(log_settings(node.config).file), node.config.node.name
    while True:
        await asyncio.sleep(AFTER)
        said = await asyncio.to_thread(said_of, (name,), log, node.progress.status.started)
        if name in said:
            node.waiting("node", said[name])
