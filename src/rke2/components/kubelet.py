"""The kubelet as a supervised process, started again whenever it exits."""

from __future__ import annotations

import asyncio
import logging
import time

from rke2.lifecycle.process import Command, Process
from rke2.lifecycle.restart import Backoff

log = logging.getLogger(__name__)


class Kubelet:
    """The node agent of Kubernetes. `ready` is set as soon as it is spawned: it reads the static pod
    directory when it comes up, so manifests may be written from then on.

    Args:
        command: how to start it.
    """

    name = "kubelet"

    def __init__(self, command: Command) -> None:
        self.ready = asyncio.Event()
        self.restarts = 0
        self._command = command
        self._backoff = Backoff()

    async def run(self) -> None:
        """Run it until cancelled; an exit is logged and answered by a new start."""
        while True:
            started = time.monotonic()
            how = await self._run_once()
            delay = self._backoff.after(time.monotonic() - started)
            log.error(
                "Kubelet exited: %s; starting it again in %.1f s; its last words:\n%s",
                how,
                delay,
                self._command.log.tail(3),
            )
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self) -> str:
        process = await Process.start(self._command)
        self.ready.set()
        try:
            return await process.wait()
        finally:
            await process.stop()
