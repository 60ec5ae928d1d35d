"""Control groups of a host: one group in every hierarchy that the machine has mounted.

cgroup v1: a child of the group this process is in. cgroup v2: a child of the nearest ancestor group that hands the
controllers a node needs to its children, because a group with processes cannot do so (cgroup-v2.rst, "no internal
processes"); for the same reason the host's own processes live one group below the one that the host sees as root.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import LabError
from rke2_lab.kernel import Mount, mount
from rke2_lab.mountinfo import MountEntry, mounts
from rke2_lab.process import ProcessId

CGROUP_ROOT = Path("/sys/fs/cgroup")
NEEDED = frozenset({"cpu", "cpuset", "memory", "pids"})
_FREEZERS = {"freezer.state": ("THAWED", "FROZEN"), "cgroup.freeze": ("0", "1")}
"""File of cgroup v1 and v2 -> what thaws, what freezes."""
_V1_INHERITED = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True)
class ControlGroup:
    """One hierarchy's group of a host.

    Args:
        root: the directory that is ``/`` in the host's cgroup namespace.
        leaf: where the host's own processes live; the same as `root` on cgroup v1.
    """

    root: Path
    leaf: Path


def plan(
    name: str, own: str | None = None, entries: Iterable[MountEntry] | None = None
) -> tuple[ControlGroup, ...]:
    """The groups a host called `name` gets; nothing is made yet.

    Args:
        own: text of ``/proc/self/cgroup``.
        entries: the machine's mounts.
    """
    present = _present_groups(Path("/proc/self/cgroup").read_text() if own is None else own)
    found: dict[str, ControlGroup] = {}
    for entry in _hierarchies(mounts() if entries is None else entries):
        if entry.fstype == "cgroup":
            key = _v1_key(entry)
            parent = _below(entry, present.get(key, "/"))
            found[key] = ControlGroup(parent / name, parent / name)
        else:
            root = _delegating(_below(entry, present.get("", "/")), entry.point) / name
            found[""] = ControlGroup(root, root / "init")
    if not found:
        raise LabError("this machine has no control groups mounted", "mount cgroup2 on /sys/fs/cgroup")
    return tuple(found.values())


def _hierarchies(entries: Iterable[MountEntry]) -> list[MountEntry]:
    return [
        entry
        for entry in entries
        if entry.fstype in ("cgroup", "cgroup2") and entry.point.is_relative_to(CGROUP_ROOT)
    ]


def _present_groups(text: str) -> dict[str, str]:
    """Hierarchy (its controllers, "" for cgroup v2) -> path of the group."""
    lines = (line.split(":", 2) for line in text.splitlines())
    return {controllers: path for _, controllers, path in lines}


def _v1_key(entry: MountEntry) -> str:
    """The hierarchy as /proc/self/cgroup spells it: mount options that are no flags."""
    flags = {"rw", "ro", "clone_children", "xattr", "noprefix"}
    options = [option for option in entry.super_options.split(",") if option not in flags]
    return ",".join(option for option in options if not option.startswith("release_agent="))


def _below(entry: MountEntry, path: str) -> Path:
    """The directory of group `path` on the mount `entry`, which may show a part of the hierarchy only."""
    inside = Path(path)
    return entry.point / (inside.relative_to(entry.root) if inside.is_relative_to(entry.root) else "")


def _delegating(group: Path, top: Path) -> Path:
    """The nearest group at or above `group` whose children get the controllers a node needs."""
    for candidate in (group, *group.parents):
        if candidate == top or _words(candidate / "cgroup.subtree_control") >= NEEDED:
            return candidate
    return top


def _words(file: Path) -> frozenset[str]:
    return frozenset(file.read_text().split())


def create(groups: Iterable[ControlGroup]) -> None:
    """Make the groups, ready for processes."""
    for group in groups:
        group.leaf.mkdir(parents=True, exist_ok=True)
        _inherit_cpuset(group.root)


def _inherit_cpuset(root: Path) -> None:
    """A v1 cpuset group starts empty and accepts no process until it has processors and memory nodes."""
    if not (root / "cgroup.clone_children").exists() or not (root / "cpuset.cpus").exists():
        return
    for name in _V1_INHERITED:
        (root / name).write_text((root.parent / name).read_text())
    (root / "cgroup.clone_children").write_text("1")


def delegate(groups: Iterable[ControlGroup]) -> None:
    """Hand the controllers of cgroup v2 to the groups below `root`, which must have no process itself."""
    for group in groups:
        if group.leaf != group.root:
            available = sorted(_words(group.root / "cgroup.controllers"))
            (group.root / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in available))


def join(directories: Iterable[Path]) -> None:
    """Put this process into each of the group directories."""
    for directory in directories:
        (directory / "cgroup.procs").write_text("0")


def mount_own(target: Path, machine: Iterable[MountEntry]) -> None:
    """Mount the hierarchies of the machine again on `target`, as the present cgroup namespace shows them.

    Args:
        target: an empty directory, ``/sys/fs/cgroup`` of the host.
        machine: the machine's mounts.
    """
    hierarchies = _hierarchies(machine)
    flags = Mount.NOSUID | Mount.NODEV | Mount.NOEXEC
    if [entry.fstype for entry in hierarchies] == ["cgroup2"]:
        mount("cgroup2", target, "cgroup2", flags)
        return
    mount("tmpfs", target, "tmpfs", flags, "mode=755,size=1m")
    for entry in hierarchies:
        _mount_hierarchy(entry, target / entry.point.name, flags)


def _mount_hierarchy(entry: MountEntry, point: Path, flags: Mount) -> None:
    point.mkdir(exist_ok=True)
    if entry.fstype == "cgroup2":
        mount("cgroup2", point, "cgroup2", flags)
        return
    key = _v1_key(entry)
    mount("cgroup", point, "cgroup", flags, f"none,{key}" if key.startswith("name=") else key)
    for controller in key.split(","):
        if controller != point.name and "=" not in controller:
            (point.parent / controller).symlink_to(point.name)


def freeze(groups: Iterable[ControlGroup], frozen: bool) -> None:
    """Stop every process of the groups where it is, or let them go on; no process is told.

    Raises:
        LabError: there is no freezer (cgroup v1 without that controller).
    """
    for group in groups:
        for name, values in _FREEZERS.items():
            if (group.root / name).exists():
                (group.root / name).write_text(values[frozen])
                return
    raise LabError("this machine cannot freeze control groups", "mount the cgroup v1 controller `freezer`")


def processes(groups: Iterable[ControlGroup], program: str) -> list[ProcessId]:
    """The processes of the groups whose name (``comm``, at most 15 characters) is `program`."""
    root = next((group.root for group in groups), None)
    pids = [pid for directory in _depth_first(root) for pid in _members(directory)] if root else []
    return [found for pid in pids if _name(pid) == program and (found := _identity(pid))]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _identity(pid: int) -> ProcessId | None:
    try:
        return ProcessId.of(pid)
    except ProcessLookupError:
        return None


def remove(groups: Iterable[ControlGroup], timeout: float = 20.0) -> None:
    """Kill what still runs in the groups and remove them with all groups below.

    Args:
        timeout: seconds until giving up.

    Raises:
        LabError: a group stays busy.
    """
    deadline = time.monotonic() + timeout
    for group in groups:
        while group.root.exists() and not _remove_tree(group.root):
            if time.monotonic() > deadline:
                raise LabError(f"control group {group.root} stays busy", f"look at {group.root}/cgroup.procs")
            time.sleep(0.02)


def _remove_tree(root: Path) -> bool:
    for directory in _depth_first(root):
        _kill_members(directory)
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _depth_first(root: Path) -> Iterator[Path]:
    for path, _, _ in os.walk(root, topdown=False):
        yield Path(path)


def _kill_members(directory: Path) -> None:
    """SIGKILL to the processes of a group; who is in a group of ours is ours."""
    for pid in _members(directory):
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if pid in _members(directory):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            os.close(fd)


def _members(directory: Path) -> list[int]:
    try:
        return [int(line) for line in (directory / "cgroup.procs").read_text().split()]
    except (FileNotFoundError, OSError):
        return []
