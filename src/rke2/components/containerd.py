"""containerd as a supervised process. Its end is the end of rke2: the service manager starts both afresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rke2.errors import ComponentError, first_error
from rke2.lifecycle.process import Command, Process
from rke2.lifecycle.service import Up
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
        self._command = command
        self._probe = probe
        self._say = say

    async def run(self, up: Up) -> None:
        """Run it until cancelled.

        Raises:
            ComponentError: it ended by itself (its last words are in the message), or the probe says that waiting
                is without effect.
        """
        process = await Process.start(self._command)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._announce(up), name="containerd probe")
                tasks.create_task(self._until_exit(process), name="containerd")
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        finally:
            await process.stop()

    async def _until_exit(self, process: Process) -> None:
        how = await process.wait()
        raise ComponentError(
            f"containerd exited ({how}); its last words:\n{self._command.log.tail()}",
            f"the whole log is {self._command.log.path}; rke2 ends, too, and starts it again when it is started",
        )

    async def _announce(self, up: Up) -> None:
        await until(self._probe, interval=0.05, say=self._say)
        up()
