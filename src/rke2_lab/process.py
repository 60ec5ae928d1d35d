"""A process that can be named again later without mistaking another one for it.

A process id alone is reused; together with the start time and the boot of the kernel it is not (proc(5), field 22).
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ProcessId:
    """Identity of a process.

    Args:
        pid: process id in the machine's namespace.
        start: start time in clock ticks since boot.
        boot: the kernel's boot id.
    """

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Identity of the process that has `pid` now.

        Raises:
            ProcessLookupError: there is none.
        """
        found = _stat(pid)
        if found is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid, found[1], BOOT_ID.read_text().strip())

    @property
    def alive(self) -> bool:
        """Whether exactly this process runs (a zombie does not)."""
        found = _stat(self.pid)
        if found is None:
            return False
        state, start = found
        return state not in "ZX" and start == self.start and BOOT_ID.read_text().strip() == self.boot

    @contextmanager
    def pidfd(self) -> Iterator[int | None]:
        """A pidfd of exactly this process, None if it has ended."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # Whoever has the start time now also had the pid when the pidfd was opened.
            yield fd if self.alive else None
        finally:
            os.close(fd)

    def kill(self, timeout: float = 30.0) -> bool:
        """Send SIGKILL to this process, never to another, and wait for its end.

        Args:
            timeout: seconds to wait. The kernel ends a PID 1 after every process of its namespace.

        Returns:
            False if it still runs after `timeout`.
        """
        with self.pidfd() as fd:
            if fd is None:
                return True
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(timeout * 1000))


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time of `pid`."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])
