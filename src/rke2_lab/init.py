"""How a host starts, and its PID 1.

::

    lab process                 launcher                       PID 1 of the host
    ───────────                 ────────                       ─────────────────
    write record
    start launcher ───────────▶ join control groups, network
                                unshare, fork ───────────────▶ wait for "go"
    read pid ◀───────────────── print its pid, exit
    write pid and start time
    "go" ────────────────────────────────────────────────────▶ mount everything
    read "ready" ◀──────────────────────────────────────────── or the error
                                                               reap children forever

A lab process that dies anywhere in between leaves either no PID 1 (its "go" never comes) or a recorded one.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from rke2_lab import cgroups, rootfs
from rke2_lab.addressing import NETNS_DIR
from rke2_lab.kernel import OWN, Namespace, setns, unshare
from rke2_lab.record import HostRecord

GO = "go\n"
READY = "ready"


def main(arguments: list[str]) -> None:
    """Start the host described by the record file ``arguments[0]``; talk to the lab process by stdin and stdout."""
    record = HostRecord.load(Path(arguments[0]))
    try:
        _enter_namespaces(record)
    except OSError as error:
        print(_describe(error), flush=True)
        return
    child = os.fork()
    if child:
        print(child, flush=True)
        return
    if sys.stdin.readline() != GO:
        return
    _become_init(record)


def _enter_namespaces(record: HostRecord) -> None:
    cgroups.join(group.root for group in record.groups)
    with (NETNS_DIR / record.netns).open("rb") as file:
        setns(file.fileno(), Namespace.NETWORK)
    # The group this process is in now becomes the root that the host sees.
    unshare(OWN)
    cgroups.join(group.leaf for group in record.groups if group.leaf != group.root)
    cgroups.delegate(record.groups)


def _become_init(record: HostRecord) -> None:
    try:
        socket.sethostname(record.name)
        rootfs.assemble(record)
    except OSError as error:
        print(_describe(error), flush=True)
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(READY, flush=True)
    _let_go_of_lab()
    reap()


def _describe(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}"


def _let_go_of_lab() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def reap() -> None:
    """Collect every orphan of the host, forever. SIGCHLD must be blocked."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})
