"""A supervised process: how it is spawned, watched and ended.

::

    new ──start──> running ──exits by itself──> exited
                      │
                      └──stop: SIGTERM, grace, SIGKILL──> exited

The child is killed by the kernel when the supervisor dies (PR_SET_PDEATHSIG through setpriv(1)): what must
outlive it, the containers, hangs on containerd's shims and not on containerd.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rke2.errors import ComponentError
from rke2.host import children
from rke2.lifecycle.logfile import LogFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Command:
    """What to run.

    Args:
        name: for messages.
        argv: program and arguments.
        env: the complete environment.
        log: where its output goes.
        grace: seconds between SIGTERM and SIGKILL.
    """

    name: str
    argv: Sequence[str | Path]
    log: LogFile
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    grace: float = 10.0


class Process:
    """One run of a `Command`."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self._process = process

    @classmethod
    async def start(cls, command: Command) -> Process:
        """Spawn it.

        Raises:
            ComponentError: the program does not exist or cannot be executed.
        """
        output = command.log.open()
        try:
            process = await asyncio.create_subprocess_exec(
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
                *map(str, command.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(command.env),
                start_new_session=True,
            )
        except OSError as error:
            raise ComponentError(f"cannot start {command.name}: {error}") from error
        finally:
            os.close(output)
        _allow_core_dumps(process.pid)
        log.info("%s: running as pid %d, output in %s", command.name, process.pid, command.log.path)
        return cls(command, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> str:
        """Wait for its end; returns how it ended, for example ``exit status 1`` or ``signal SIGKILL``."""
        code = await self._process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    async def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL after the grace period; returns when it is gone."""
        if not self.running:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(self.command.grace):
                await self._process.wait()
        except TimeoutError:
            log.warning(
                "%s: still running %.0f s after SIGTERM, killing it", self.command.name, self.command.grace
            )
            await children.end(self._process)


def _allow_core_dumps(pid: int) -> None:
    """The units forbid core dumps of rke2, whose memory holds keys. Containers get their limits from containerd, and
    theirs stay those of RKE2's units: as high as they may be.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_CORE, (most, most))
