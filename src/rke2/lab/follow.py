"""Watching a node boot: first ``rke2 status --wait``, then the cluster's own workload."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Callable

from rke2.errors import LabError
from rke2.lab.node import Node
from rke2.lab.settled import KINDS, Object, unsettled

log = logging.getLogger(__name__)

POLL_CLUSTER = 0.5
POLL_PROCESSES = 0.1
LAST_LINES = 20


def until_ready(node: Node, server: subprocess.Popen[bytes] | None, timeout: float) -> None:
    """Show the boot until the node is ready.

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


def until_settled(node: Node, timeout: float, show: Callable[[str], None]) -> None:
    """Wait until every system pod runs or is completed.

    Args:
        timeout: seconds.
        show: called with a line about what is being waited for whenever that changes.

    Raises:
        LabError: something is still missing after `timeout`.
    """
    deadline, shown = time.monotonic() + timeout, ""
    while waiting := _waiting(node):
        line = f"waiting for {len(waiting)}: {'; '.join(waiting[:3])}"
        if line != shown:
            show(line)
            shown = line
        if time.monotonic() > deadline:
            raise LabError(f"kube-system is not complete after {timeout:.0f} s: {'; '.join(waiting)}")
        time.sleep(POLL_CLUSTER)


def _waiting(node: Node) -> list[str]:
    done = node.kubectl("get", "--namespace", "kube-system", ",".join(KINDS), "--output", "json")
    if done.returncode != 0:
        return [f"kubectl: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no answer'}"]
    items: list[Object] = json.loads(done.stdout)["items"]
    return unsettled(items) if items else ["any pod"]


def tail(node: Node, lines: int = LAST_LINES) -> str:
    """The last lines of the node's rke2 log."""
    if not node.log.exists():
        return "(nothing was logged)"
    return "\n".join(node.log.read_text(errors="replace").splitlines()[-lines:])
