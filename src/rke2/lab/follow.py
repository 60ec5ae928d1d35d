"""Watching a node boot through its own ``rke2 status --wait``."""

from __future__ import annotations

import subprocess
import time

from rke2.errors import LabError
from rke2.lab.node import Node

POLL_PROCESSES = 0.1
LAST_LINES = 20


def until_ready(node: Node, server: subprocess.Popen[bytes] | None, timeout: float) -> None:
    """Show the boot until the node is ready and its system pods run.

    Args:
        server: the rke2 process, if this process started it; its end ends the wait.
        timeout: seconds.

    Raises:
        LabError: rke2 ended or the node is not ready in time; has the last lines of its log.
    """
    command = node.command("status", "--wait", "--timeout", f"{timeout:.0f}")
    # What is being waited for comes on standard error; the report follows when all is done.
    with node.popen(command, stdout=subprocess.DEVNULL) as watch:
        while watch.poll() is None:
            if server is not None and server.poll() is not None:
                watch.terminate()
                raise LabError(f"rke2 ended with {server.returncode} on {node.host.name}:\n{tail(node)}")
            time.sleep(POLL_PROCESSES)
    if watch.returncode != 0:
        raise LabError(
            f"{node.host.name} is not ready:\n{node.rke2('status').stdout}\n{tail(node)}",
            f"rke2 lab logs {node.host.name}",
        )


def tail(node: Node, lines: int = LAST_LINES) -> str:
    """The last lines of the node's rke2 log."""
    if not node.log.exists():
        return "(nothing was logged)"
    return "\n".join(node.log.read_text(errors="replace").splitlines()[-lines:])
