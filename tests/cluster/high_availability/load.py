"""API calls from an agent while servers come and go, and the time after which none fails any more."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rke2.config.paths import Paths
from tests.cluster.restart.server import Server

QUIET_SECONDS = 20.0
"""So long no call fails before a fail-over counts as over: several times what one call may take."""

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
        """Seconds from the fault (Unix time) to the end of the last call that failed since."""
        return max((at - fault for at, _ in list(self.failures) if at > fault), default=0.0)

    def until_quiet(self, since: float, limit: float) -> None:
        """Wait until no call has failed for `QUIET_SECONDS`, or until a call fails `limit` seconds after `since`."""
        while time.time() < since + min(self.window(since), limit) + QUIET_SECONDS:
            time.sleep(0.5)

    def __str__(self) -> str:
        lines = [f"  {time.strftime('%H:%M:%S', time.gmtime(at))} {what}" for at, what in self.failures]
        return "\n".join([f"{len(lines)} of {self.calls} calls failed", *lines[:3], *lines[-3:]])


@contextmanager
def calling(agent: Server) -> Iterator[Load]:
    """Call the API from `agent` during the block; the result is complete after it."""
    files = [str(_AGENT / name) for name in ("server-ca.crt", "client-kubelet.crt", "client-kubelet.key")]
    arguments = ["https://127.0.0.1:6443", *files, agent.node.host.name]
    # As text: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
    command = [agent.node.host.python, "-c", _CALLER.read_text(), *arguments]
    load = Load()
    pipe = subprocess.PIPE
    with agent.node.host.popen(command, text=True, stdin=pipe, stdout=pipe) as caller:
        assert caller.stdout
        assert caller.stdout.readline() == "answers\n"
        assert caller.stdin
        reader = threading.Thread(target=_read, args=(caller.stdout, load))
        reader.start()
        try:
            yield load
        finally:
            caller.stdin.close()
            reader.join(timeout=60)
    assert load.calls, "the caller has ended by itself"


def _read(lines: Iterable[str], load: Load) -> None:
    for line in lines:
        first, _, rest = line.rstrip().partition(" ")
        if rest == "calls":
            load.calls = int(first)
        else:
            load.failures.append((float(first), rest))
