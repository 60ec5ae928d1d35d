"""Who listens on a TCP port, read from ``/proc`` (proc_net_tcp(5))."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import HostError

_LISTEN = "0A"


@dataclass(frozen=True)
class PortHolder:
    port: int
    pid: int | None
    name: str
    in_container: bool
    """The process lives in a container of the node's own containerd."""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else "an unknown process"


def find_listener(port: int, proc: Path = Path("/proc")) -> PortHolder | None:
    """The process that listens on TCP `port` of any address, or None if the port is free."""
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return None
    for pid in (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()):
        if _sockets(proc / str(pid)) & inodes:
            return PortHolder(port, pid, _name(proc / str(pid)), _in_container(proc / str(pid)))
    return PortHolder(port, None, "", False)


def require_free(ports: dict[int, str], proc: Path = Path("/proc")) -> None:
    """Check that nobody foreign holds a port the node needs.

    A container of this node may hold it: after a restart of rke2 its pods go on running.

    Args:
        ports: port number to the component that needs it.

    Raises:
        HostError: names the port, who needs it and who holds it.
    """
    for port, component in ports.items():
        holder = find_listener(port, proc)
        if holder and not holder.in_container:
            raise HostError(
                f"port {port}, which {component} needs, is in use by {holder}",
                "stop that process; rke2 cannot use another port",
            )


def _listening_inodes(port: int, proc: Path) -> set[str]:
    wanted = f":{port:04X}"
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == _LISTEN:
                found.add(f"socket:[{fields[9]}]")
    return found


def _sockets(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for fd in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(str(fd.readlink()))
    return found


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process that has ended"


def _in_container(process: Path) -> bool:
    try:
        return "kubepods" in (process / "cgroup").read_text()
    except OSError:
        return False
