"""A network and mount namespace without uplink, for running real components in tests."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_SETUP = """set -e
ip link set lo up
ip address add 192.0.2.1/32 dev lo
echo ready
exec sleep infinity"""


class Isolated:
    """Runs commands inside the namespaces that the process `pid` holds open."""

    def __init__(self, pid: int) -> None:
        self._net = Path(f"/proc/{pid}/ns/net")
        self._enter = ["nsenter", "--target", str(pid), "--net", "--mount", "--"]

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """`argv` made to run inside."""
        return [*self._enter, *map(str, argv)]

    def run(self, *argv: str | Path, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run to the end and collect the output."""
        return subprocess.run(
            self.command(argv), capture_output=True, text=True, timeout=timeout, check=False
        )

    @contextmanager
    def running(self, *argv: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run in the background, output into `log`; ended with SIGTERM."""
        with log.open("wb") as output:
            process = subprocess.Popen(self.command(argv), stdout=output, stderr=output)
            try:
                yield process
            finally:
                process.terminate()
                process.wait(20)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread opens its sockets inside meanwhile."""
        with Path("/proc/thread-self/ns/net").open() as before, self._net.open() as inside:
            _set_network(inside.fileno())
            try:
                yield
            finally:
                _set_network(before.fileno())


def _set_network(fd: int) -> None:
    clone_newnet = 0x40000000
    if ctypes.CDLL(None, use_errno=True).setns(fd, clone_newnet):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def isolated() -> Iterator[Isolated]:
    """Namespaces whose loopback device also has 192.0.2.1; skips the test without root."""
    if os.geteuid() != 0:
        pytest.skip("needs root for namespaces")
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", _SETUP], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert holder.stdout
        line = holder.stdout.readline()
        assert line == b"ready\n", line
        yield Isolated(holder.pid)
    finally:
        holder.kill()
        holder.wait()
