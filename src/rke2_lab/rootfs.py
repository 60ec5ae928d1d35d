"""What a host sees: the mounts that make it look like a machine of its own.

Everything here runs in the host's new mount namespace, as PID 1 (kubelet, containerd and CNI plugins need real
mounts, shared propagation and a writable cgroup tree). The tables say what is the host's own; the rest of its root,
one of `rke2_lab.roots` or the machine's, is there copy-on-write: a host may write anywhere and nobody else sees it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path

from rke2.host.files import ensure_dir
from rke2_lab import cgroups, toolbox
from rke2_lab.addressing import GATEWAY
from rke2_lab.kernel import Mount, mount, pivot_root
from rke2_lab.mountinfo import MountEntry, mounts
from rke2_lab.record import HostRecord
from rke2_lab.toolbox import bind_read_only

ON_DISK: dict[str, int] = {
    "/etc/cni": 0o755,
    "/etc/rancher": 0o755,
    "/opt/cni": 0o755,
    "/opt/rke2": 0o755,
    "/tmp": 0o1777,
    "/var/lib/calico": 0o755,
    "/var/lib/cni": 0o755,
    "/var/lib/kubelet": 0o755,
    "/var/lib/rancher": 0o755,
    "/var/log": 0o755,
    "/var/tmp": 0o1777,
}
"""Directories of the host's own on the machine's disk (path -> mode); they outlive a stop of the host."""

DEVICES: dict[str, tuple[int, int, int]] = {
    "null": (1, 3, 0o666),
    "zero": (1, 5, 0o666),
    "full": (1, 7, 0o666),
    "random": (1, 8, 0o666),
    "urandom": (1, 9, 0o666),
    "kmsg": (1, 11, 0o644),
    "tty": (5, 0, 0o666),
    "fuse": (10, 229, 0o666),
    "net/tun": (10, 200, 0o666),
}
"""``/dev``: name -> major, minor, mode. No disks: a privileged pod cannot reach the machine's."""

DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
    "ptmx": "pts/ptmx",
}

OWN_SYSCTLS = (
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/random/boot_id",
    "kernel/timer_migration",
    "kernel/unprivileged_bpf_disabled",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""Settings of the whole machine that node components write: a host writes to a private file instead.

The others under kernel, vm, fs and dev are read-only. net/* belongs to the host's network namespace anyway."""

MACHINE_WIDE_SYSCTLS = ("kernel", "vm", "fs", "dev")
DISK_FILESYSTEMS = frozenset({"9p", "btrfs", "ext2", "ext3", "ext4", "f2fs", "virtiofs", "xfs", "zfs"})
MEMORY_LIMIT = "size=1g"
"""Most that a host's copy-on-write files may take of the machine's memory."""

_MODULES = Path("/lib/modules")

_PLAIN = Mount.NOSUID | Mount.NODEV | Mount.NOEXEC


def prepare_directories(record: HostRecord) -> None:
    """Make what must be on disk before the host starts."""
    for path, mode in ON_DISK.items():
        ensure_dir(record.fs / path[1:], mode)
    for name in ("root", "cow"):
        ensure_dir(record.directory / name, 0o700)


def assemble(record: HostRecord) -> None:
    """Build the host's tree and make it the root of this mount namespace.

    Raises:
        OSError: a mount failed; the namespace is unusable then.
    """
    machine = mounts()
    root, memory = record.directory / "root", record.directory / "cow"
    mount("none", Path("/"), flags=Mount.PRIVATE | Mount.RECURSIVE)
    mount("tmpfs", memory, "tmpfs", data=f"mode=700,{MEMORY_LIMIT}")
    _files(machine, root, memory, record)
    _kernel_views(machine, root)
    _own_sysctls(root, memory / "sysctl")
    _identity(record, root)
    pivot_root(root)
    # Last, so that each mount starts a peer group of its own and none shows up twice.
    mount("none", Path("/"), flags=Mount.SHARED | Mount.RECURSIVE)


def _files(machine: Iterable[MountEntry], root: Path, memory: Path, record: HostRecord) -> None:
    own = [Path(path) for path in ON_DISK]
    if record.root:
        _copy_on_write(record.root, root, memory / "root")
    else:
        _machine_files(machine, root, memory, [*own, record.state_dir])
    for path in own:
        _bind(record.fs / path.relative_to("/"), root / path.relative_to("/"))
    for path in record.exposed:
        (bind_read_only if record.root else _bind)(path, root / path.relative_to("/"))
    mount("tmpfs", root / "run", "tmpfs", _PLAIN & ~Mount.NOEXEC, "mode=755")
    (root / "run/lock").mkdir()
    if record.root:
        _furnish(root, record.program)
    else:
        _hide(root / record.state_dir.relative_to("/"))


def _machine_files(machine: Iterable[MountEntry], root: Path, memory: Path, hidden: Iterable[Path]) -> None:
    skip = [*hidden, *map(Path, ("/dev", "/proc", "/run", "/sys"))]
    for number, point in enumerate(_disks(machine, skip)):
        _copy_on_write(point, root / point.relative_to("/"), memory / str(number))


def _furnish(root: Path, program: Path | None) -> None:
    """What a root of its own has from the machine: the toolbox, and the modules of the kernel that both have."""
    toolbox.furnish(root, program)
    if _MODULES.is_dir():
        bind_read_only(_MODULES, root / _MODULES.relative_to("/"))


def _hide(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", target, "tmpfs", _PLAIN | Mount.READ_ONLY, "mode=555,size=4k")


def _disks(machine: Iterable[MountEntry], hidden: Iterable[Path]) -> list[Path]:
    """Mount points of the machine's files, ``/`` first, without what a host has of its own."""
    skip = tuple(hidden)
    points = {Path("/")} | {
        entry.point
        for entry in machine
        if entry.fstype in DISK_FILESYSTEMS and not any(entry.point.is_relative_to(path) for path in skip)
    }
    return sorted(point for point in points if point.is_dir())


def _copy_on_write(lower: Path, target: Path, memory: Path) -> None:
    upper, work = memory / "upper", memory / "work"
    for directory in (upper, work):
        directory.mkdir(parents=True)
    mode = stat.S_IMODE(lower.stat().st_mode)
    upper.chmod(mode)
    mount("overlay", target, "overlay", data=f"lowerdir={lower},upperdir={upper},workdir={work}")


def _bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    mount(source, target, flags=Mount.BIND)


def _kernel_views(machine: Iterable[MountEntry], root: Path) -> None:
    mount("proc", root / "proc", "proc", _PLAIN)
    mount("sysfs", root / "sys", "sysfs", _PLAIN | Mount.READ_ONLY)
    cgroups.mount_own(root / "sys/fs/cgroup", machine)
    if (root / "sys/fs/bpf").is_dir():
        mount("bpf", root / "sys/fs/bpf", "bpf", _PLAIN, "mode=700")
    _devices(root / "dev")


def _devices(dev: Path) -> None:
    mount("tmpfs", dev, "tmpfs", Mount.NOSUID, "mode=755,size=64k")
    for name, (major, minor, mode) in DEVICES.items():
        node = dev / name
        node.parent.mkdir(exist_ok=True)
        os.mknod(node, stat.S_IFCHR, os.makedev(major, minor))
        node.chmod(mode)
    for name, target in DEVICE_LINKS.items():
        (dev / name).symlink_to(target)
    for name, data in (
        ("pts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("shm", "mode=1777"),
        ("mqueue", ""),
    ):
        (dev / name).mkdir()
        fstype = {"pts": "devpts", "shm": "tmpfs", "mqueue": "mqueue"}[name]
        mount(fstype, dev / name, fstype, Mount.NOSUID | Mount.NOEXEC, data)


def _own_sysctls(root: Path, private: Path) -> None:
    sysctl = root / "proc/sys"
    values = {name: (sysctl / name).read_text() for name in OWN_SYSCTLS if (sysctl / name).exists()}
    if "kernel/random/boot_id" in values:
        values["kernel/random/boot_id"] = f"{uuid.uuid4()}\n"
    for name in MACHINE_WIDE_SYSCTLS:
        _bind_read_only(sysctl / name)
    _bind_read_only(root / "proc/sysrq-trigger")
    for name, value in values.items():
        file = private / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)
        file.chmod(0o644)
        mount(file, sysctl / name, flags=Mount.BIND)


def _bind_read_only(path: Path) -> None:
    if path.exists():
        mount(path, path, flags=Mount.BIND)
        mount("none", path, flags=Mount.BIND | Mount.REMOUNT | Mount.READ_ONLY | _PLAIN)


def _identity(record: HostRecord, root: Path) -> None:
    etc = root / "etc"
    etc.mkdir(exist_ok=True)
    machine_id = hashlib.sha256(f"{record.lab}/{record.name}".encode()).hexdigest()[:32]
    # CoreDNS forwards to this address: nothing listens there, so names outside the cluster fail at once.
    texts = {
        "hostname": f"{record.name}\n",
        "machine-id": f"{machine_id}\n",
        "resolv.conf": f"nameserver {GATEWAY.ip}\n",
        "hosts": "",
    }
    for name, text in texts.items():
        (etc / name).unlink(missing_ok=True)
        (etc / name).write_text(text)
        (etc / name).chmod(0o644)
    mount(record.names, etc / "hosts", flags=Mount.BIND)
