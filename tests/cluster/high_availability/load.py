"""API calls from an agent while servers come and go, and the time after which none fails any more."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rke2.config.paths import Paths
from tests.cluster.restart.server import Server

_CALLER = Path(__file__).with_name("caller.py")
_AGENT = Paths().agent


@dataclass
class Load:
    """What became of the calls.

    Attributes:
        failures: when a call failed (Unix time) and how.
        calls: all of them.
    """

    failures: list[tuple[float, str]] = field(default_factory=list)
    calls: int = 0

    def window(self, fault: float) -> float:
        """Seconds from the fault (Unix time) to the end of the last call that failed."""
        return max((at - fault for at, _ in self.failures), default=0.0)

    def __str__(self) -> str:
        lines = [f"  {time.strftime('%H:%M:%S', time.gmtime(at))} {what}" for at, what in self.failures]
        return "\n".join([f"{len(lines)} of {self.calls} calls failed", *lines[:3], *lines[-3:]])


@contextmanager
def calling(agent: Server) -> Iterator[Load]:
    """Call the API from `agent` during the block; the result is complete after it."""
    files = [str(_AGENT / name) for name in ("server-ca.crt", "client-kubelet.crt", "client-kubelet.key")]
    arguments = ["https://127.0.0.1:6443", *files, agent.node.host.name]
    # As text: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
    command = [sys.executable, "-c", _CALLER.read_text(), *arguments]
    load = Load()
    pipe = subprocess.PIPE
    with agent.node.host.popen(command, text=True, stdin=pipe, stdout=pipe) as caller:
        assert caller.stdout
        assert caller.stdout.readline() == "answers\n"
        yield load
        output, _ = caller.communicate(timeout=60)
    *failures, last = output.splitlines()
    load.calls = int(last.split()[0])
    load.failures += [(float(line.partition(" ")[0]), line.partition(" ")[2]) for line in failures]
