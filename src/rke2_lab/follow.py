"""Watching nodes boot through their own ``rke2 status --wait``."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

from rke2.errors import LabError
from rke2_lab.node import LabNode

POLL_PROCESSES = 0.1
LAST_LINES = 20

Rke2 = subprocess.Popen[bytes] | None
"""The rke2 process of a node, if this process started it."""


def until_ready(node: LabNode, rke2: Rke2, timeout: float) -> None:
    """Show the boot until the node is ready and its system pods run; parameters as of `until_all_ready`."""
    until_all_ready({node: rke2}, timeout)


def until_all_ready(nodes: Mapping[LabNode, Rke2], timeout: float) -> None:
    """Show the boots until every node is ready and its system pods run.

    Args:
        nodes: with the rke2 process of each; its end ends the wait.
        timeout: seconds.

    Raises:
        LabError: rke2 ended or a node is not ready in time; has the node's status.
    """
    with ExitStack() as stack:
        watches = [
            stack.enter_context(_watching(node, rke2, timeout, prefixed=len(nodes) > 1))
            for node, rke2 in nodes.items()
        ]
        while watches := [watch for watch in watches if not watch.done()]:
            time.sleep(POLL_PROCESSES)


@dataclass(frozen=True)
class _Watch:
    """``rke2 status --wait`` of a node."""

    node: LabNode
    rke2: Rke2
    process: subprocess.Popen[str]

    def done(self) -> bool:
        """Whether the node is ready; raises LabError if it will not be."""
        ended = self.process.poll()
        if ended is None and self.rke2 is not None and self.rke2.poll() is not None:
            code = self.rke2.returncode
            raise self._given_up(f"rke2 ended with {code} on {self.node.host.name}")
        if ended:
            raise self._given_up(f"{self.node.host.name} is not ready")
        return ended == 0

    def _given_up(self, how: str) -> LabError:
        """With what the node says of itself; with the end of its log if it ended before it had anything to say."""
        said = self.node.rke2("status").stdout.strip() if self._knows_why() else tail(self.node)
        return LabError(f"{how}:\n{said}", f"rke2 lab logs {self.node.host.name}")

    def _knows_why(self) -> bool:
        """Whether ``rke2 status`` tells more than the log: a node that refused to start leaves the state of before."""
        answer = self.node.rke2("status", "-o", "json").stdout
        report = json.loads(answer) if answer else {}
        return bool(report.get("pid") or (report.get("process") or {}).get("error"))


@contextmanager
def _watching(node: LabNode, rke2: Rke2, timeout: float, *, prefixed: bool) -> Iterator[_Watch]:
    command = node.command("status", "--wait", "--timeout", f"{timeout:.0f}")
    # What is being waited for comes on standard error; the report follows when all is done.
    with node.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        prefix = f"{node.host.name:<12} " if prefixed else ""
        relay = threading.Thread(target=_relay, args=(process.stderr, prefix))
        relay.start()
        try:
            yield _Watch(node, rke2, process)
        finally:
            if process.poll() is None:
                process.terminate()
            relay.join()


def _relay(lines: IO[str], prefix: str) -> None:
    for line in lines:
        sys.stderr.write(prefix + line)
        sys.stderr.flush()


def tail(node: LabNode, lines: int = LAST_LINES) -> str:
    """The last lines of the node's rke2 log."""
    if not node.log.exists():
        return "(nothing was logged)"
    return "\n".join(node.log.read_text(errors="replace").splitlines()[-lines:])
