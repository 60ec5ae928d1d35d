"""containerd as a supervised process. Its end is the end of rke2: the service manager starts both afresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rke2.errors import ComponentError
from rke2.lifecycle.process import Command, Process
from rke2.lifecycle.waiting import until


class Containerd:
    """The embedded container runtime.

    Args:
        command: how to start it.
        probe: tells why its CRI does not answer yet, an empty string once it does.
        say: gets each such reason.
    """

    name = "containerd"

    def __init__(
        self, command: Command, probe: Callable[[], Awaitable[str]], say: Callable[[str], None]
    ) -> None:
        self.ready = asyncio.Event()
        self._command = command
        self._probe = probe
        self._say = say

    async def run(self) -> None:
        """Run it until cancelled.

        Raises:
            ComponentError: it ended by itself (its last words are in the message), or the probe says that waiting
                is in vain.
        """
        process = await Process.start(self._command)
        probing = asyncio.create_task(self._announce(), name="containerd probe")
        waiting = asyncio.create_task(process.wait(), name="containerd")
        try:
            await asyncio.wait((probing, waiting), return_when=asyncio.FIRST_EXCEPTION)
            if not waiting.done():
                probing.result()
            how = await waiting
        finally:
            probing.cancel()
            waiting.cancel()
            await process.stop()
        raise ComponentError(
            f"containerd exited ({how}); its last words:\n{self._command.log.tail()}",
            f"the whole log is {self._command.log.path}; rke2 ends, too, and starts it again when it is started",
        )

    async def _announce(self) -> None:
        await until(self._probe, interval=0.05, say=self._say)
        self.ready.set()
