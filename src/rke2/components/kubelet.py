"""The kubelet as a supervised process, started again whenever it exits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from rke2.lifecycle.last_words import LINES, last_words
from rke2.lifecycle.process import Command, Process
from rke2.lifecycle.restart import RestartBackoff
from rke2.lifecycle.service import Up

log = logging.getLogger(__name__)

STEADY_SECONDS = 5.0
"""After this it has read its configuration, and what it said when it ended last is over."""


class Kubelet:
    """The node agent of Kubernetes. It is up as soon as it is spawned: it reads the static pod directory when it
    comes up, so manifests may be written from then on.

    Args:
        command: how to start it.
        say: gets its last words when it has ended, and an empty text once it runs again.
    """

    name = "kubelet"

    def __init__(self, command: Command, say: Callable[[str], None] = lambda last_words: None) -> None:
        self.restarts = 0
        self._command = command
        self._say = say
        self._backoff = RestartBackoff()

    async def run(self, up: Up) -> None:
        """Run it until cancelled; an exit is logged and answered by a new start."""
        while True:
            started = time.monotonic()
            how = await self._run_once(up)
            delay = self._backoff.after(time.monotonic() - started)
            words = last_words(self._command.log.tail(LINES).splitlines()) or "nothing"
            log.error(
                "Kubelet exited: %s; starting it again in %.1f s; its last words: %s", how, delay, words
            )
            self._say(f"{how}: {words}")
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self, up: Up) -> str:
        process = await Process.start(self._command)
        up()
        steady = asyncio.get_running_loop().call_later(STEADY_SECONDS, self._say, "")
        try:
            return await process.wait()
        finally:
            steady.cancel()
            await process.stop()
