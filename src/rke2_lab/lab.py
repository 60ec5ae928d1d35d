"""A lab: hosts that see each other and nothing else.

::

    <state>/<lab>/
      lab.json        written first, removed last; has the token of the lab's cluster
      lock            held while hosts are added or removed
      hosts.txt       /etc/hosts of every host
      hosts/<host>/   see `rke2_lab.record`: host.json, fs/ (the host's own directories), rke2.log
    <state>/.roots/   see `rke2_lab.roots`
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2.errors import LabError
from rke2.host.files import ensure_dir, write_atomic
from rke2_lab import addressing, network, roots, toolbox
from rke2_lab import program as running
from rke2_lab.host import LabHost
from rke2_lab.mountinfo import filesystem_of
from rke2_lab.record import HostRecord

log = logging.getLogger(__name__)

DEFAULT_STATE_DIR = Path("/var/lib/rke2-lab")
STATE_DIR_VARIABLE = "RKE2_LAB_DIR"
_LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_INOTIFY_INSTANCES = 1024
_RESERVED = frozenset({"net", "localhost"})
_TOOLS = {"ip": "iproute2"}
_HOSTS_HEAD = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


@dataclass(frozen=True)
class HostStatus:
    """What `Lab.status` tells of one host."""

    name: str
    running: bool
    address: str
    address6: str
    pid: int | None
    netns: str
    directory: str


class Lab:
    """The hosts of one lab.

    Args:
        state_dir: directory of all labs, on a disk that can be the base of overlay mounts.
        name: name of the lab, letters and digits.
        root: the root file system of hosts that are made from now on (`roots.chosen`); empty takes that of the hosts
            there are, else that of the variable ``RKE2_LAB_ROOT``, else the machine's.
        program: rke2 in one file, for hosts that are made from now on; see `add_host`.

    Raises:
        LabError: the name is not one.
    """

    def __init__(
        self, state_dir: Path | None = None, name: str = "lab", root: str = "", program: Path | None = None
    ) -> None:
        if not _LAB_NAME.fullmatch(name):
            raise LabError(f"{name!r} is no name for a lab", "use up to 20 lower-case letters and digits")
        self.name = name
        self.state_dir = (state_dir or default_state_dir()).absolute()
        self.directory = self.state_dir / name
        self.netns = f"rke2lab-{name}-net"
        self._root = root
        self._program = program or _default_program()

    # --- hosts -------------------------------------------------------------------------------------
    def hosts(self) -> list[LabHost]:
        """The hosts of the lab, running or not, in the order they were added."""
        files = list(self.directory.glob("hosts/*/host.json"))
        return [
            LabHost(file, self.netns) for file in sorted(files, key=lambda file: HostRecord.load(file).index)
        ]

    def host(self, name: str) -> LabHost:
        """The host called `name`.

        Raises:
            LabError: there is none.
        """
        for host in self.hosts():
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts()) or "none yet"
        raise LabError(
            f"lab {self.name} has no host {name} (hosts: {known})", f"make it with `rke2 lab up {name}`"
        )

    def add_host(self, name: str, root: str = "", program: Path | None = None) -> LabHost:
        """The host called `name`, made if there is none and started if it does not run.

        Args:
            root: another root file system than that of the lab; a host keeps the one it was made with.
            program: rke2 in one file, which the host gets in place of what this process runs from; None takes that of
                the variable ``RKE2_LAB_PROGRAM``, if it is set, else the file that this process was started from.

        Raises:
            LabError: not root, a tool is missing, or the host does not start.
        """
        require_machine(self.state_dir)
        _check_host_name(name)
        with self._locked():
            self._open()
            allow_watches()
            host = LabHost(self._record(name, root or self._root, program or self._program).file, self.netns)
            self._write_names()
            host.start()
        return host

    def remove_host(self, name: str) -> None:
        """Remove the host called `name` with everything it had."""
        self.host(name)
        with self._locked():
            self.host(name).destroy()
            self._write_names()

    def down(self) -> None:
        """Remove every host and the lab; also what a crash left, and again if it failed before.

        Raises:
            LabError: something of the lab does not go away.
        """
        if not self.directory.exists():
            return
        _require_root()
        with self._locked():
            for host in self.hosts():
                host.destroy()
            self._close()

    def status(self) -> list[HostStatus]:
        """What there is, from the records and the processes that run."""
        return [_status(host.record) for host in self.hosts()]

    @property
    def token(self) -> str:
        """The token of the lab's cluster: chosen with the lab, so that all its nodes can start at once.

        Raises:
            LabError: the lab has no hosts yet.
        """
        if not self._file.exists():
            raise LabError(f"there is no lab {self.name}", "make it with `rke2 lab up`")
        return str(json.loads(self._file.read_text())["token"])

    # --- network faults ----------------------------------------------------------------------------
    def partition(self, *groups: Sequence[str]) -> None:
        """Divide the network: hosts reach those of their own group only, as if a switch between them failed.

        No host sees its link go down; packets vanish. Hosts in no group stay together.

        Args:
            groups: names of hosts.
        """
        self.unite()
        for number, names in enumerate(groups, start=1):
            network.move(self.netns, [self.host(name).record for name in names], number)

    def unite(self) -> None:
        """End a partition."""
        network.unite(self.netns, [host.record for host in self.hosts() if host.running])

    # --- the lab itself ----------------------------------------------------------------------------
    @property
    def _file(self) -> Path:
        return self.directory / "lab.json"

    def _open(self) -> None:
        """Make the lab's network, unless it is there complete."""
        known = json.loads(self._file.read_text()) if self._file.exists() else None
        if network.exists(self.netns):
            if known is None:
                raise LabError(
                    f"the network namespace {self.netns} belongs to a lab with another state directory",
                    "choose another --lab name, or remove that lab first",
                )
            if known["complete"]:
                return
            network.delete(self.netns)
        ensure_dir(self.directory / "hosts")
        content = known or {
            "netns_dir_mounted": network.netns_dir_mounted(),
            "token": secrets.token_hex(16),
        }
        self._save(content | {"complete": False})
        network.create_bridge(self.netns)
        self._save(content | {"complete": True})

    def _save(self, content: dict[str, Any]) -> None:
        write_atomic(self._file, json.dumps(content) + "\n", durable=True)

    def _close(self) -> None:
        if self._file.exists():
            network.delete(self.netns)
            if not json.loads(self._file.read_text())["netns_dir_mounted"]:
                network.unmount_netns_dir()
        shutil.rmtree(self.directory)
        roots.remove_unused(self.state_dir)
        if not any(self.state_dir.iterdir()):
            self.state_dir.rmdir()

    def _record(self, name: str, root: str, program: Path | None) -> HostRecord:
        """The record of host `name`, written if it is new."""
        taken = {host.name: host.record for host in self.hosts()}
        if name in taken:
            return taken[name]
        others = [record.root for record in taken.values()]
        files = others[0] if others and not root else roots.unpacked(roots.chosen(root), self.state_dir)
        index = _lowest_free({record.index for record in taken.values()})
        record = HostRecord(
            lab=self.name,
            name=name,
            index=index,
            address=addressing.address(index),
            address6=addressing.address6(index),
            netns=f"rke2lab-{self.name}-{name}",
            directory=ensure_dir(self.directory / "hosts" / name),
            state_dir=self.state_dir,
            root=files,
            exposed=_exposed(files),
            program=program if files else None,
        )
        record.save()
        return record

    def _write_names(self) -> None:
        """Tell every host all names. In place: each host has this very file mounted."""
        records = [host.record for host in self.hosts()]
        lines = [
            f"{address} {record.name}\n"
            for record in records
            for address in (record.address, record.address6)
        ]
        with (self.directory / "hosts.txt").open("w") as file:
            file.write(_HOSTS_HEAD + "".join(lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        ensure_dir(self.directory)
        with (self.directory / "lock").open("w") as file:
            os.set_inheritable(file.fileno(), True)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def default_state_dir() -> Path:
    """Where labs are kept if nothing else is said."""
    return Path(os.environ.get(STATE_DIR_VARIABLE) or DEFAULT_STATE_DIR)


def require_machine(state_dir: Path) -> None:
    """Refuse early, and say why, if this machine cannot carry test hosts.

    Raises:
        LabError: not root, a tool or overlayfs is missing, or `state_dir` is on an unsuitable file system.
    """
    _require_root()
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise LabError(f"the program {tool} is missing", f"apt-get install {package}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise LabError("this kernel has no overlay file system", "modprobe overlay")
    disk = filesystem_of(state_dir.resolve())
    if disk.fstype == "overlay":
        raise LabError(
            f"{state_dir} is on an overlay file system, containers cannot run there",
            "use --state-dir on a disk",
        )


def allow_watches(limit: Path = Path("/proc/sys/fs/inotify/max_user_instances")) -> None:
    """Raise the kernel's limit of inotify instances, which all hosts share, if it is too low for a cluster of them.

    A node takes about 15, and Linux allows 128: containerd of the eighth node would start without its CRI.
    """
    if int(limit.read_text()) < _INOTIFY_INSTANCES:
        limit.write_text(f"{_INOTIFY_INSTANCES}\n")
        log.info("%s: %d", limit, _INOTIFY_INSTANCES)


def _default_program() -> Path | None:
    named = os.environ.get("RKE2_LAB_PROGRAM")
    return Path(named).absolute() if named else running.FILE


def _exposed(files: Path | None) -> tuple[Path, ...]:
    """What of the machine is in a host at its own place. The one file brings its own, which is not to be seen twice."""
    if files is None:
        return _product_directories()
    return () if running.FILE else toolbox.exposed()


def _require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("test hosts need root", "run this as root (sudo)")


def _check_host_name(name: str) -> None:
    if not _HOST_NAME.fullmatch(name) or name in _RESERVED:
        raise LabError(
            f"{name!r} is no name for a host", "use up to 40 lower-case letters, digits and hyphens"
        )


def _lowest_free(taken: set[int]) -> int:
    for index in range(addressing.MOST_HOSTS):
        if index not in taken:
            return index
    raise LabError(f"a lab has at most {addressing.MOST_HOSTS} hosts", "use a second lab")


def _product_directories() -> tuple[Path, ...]:
    """Where this program runs from, unless it is installed in the system's own place."""
    places: Sequence[Path] = (running.SOURCE, Path(sys.prefix))
    return tuple(place for place in places if not place.is_relative_to("/usr"))


def _status(record: HostRecord) -> HostStatus:
    return HostStatus(
        name=record.name,
        running=record.running,
        address=record.address,
        address6=record.address6,
        pid=record.init.pid if record.init and record.running else None,
        netns=record.netns,
        directory=str(record.directory),
    )
