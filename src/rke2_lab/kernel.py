"""The system calls that Python 3.11 has no function for, with errors as `OSError`."""

from __future__ import annotations

import ctypes
import os
import platform
from enum import IntFlag
from pathlib import Path

from rke2.errors import LabError

_libc = ctypes.CDLL(None, use_errno=True)
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PR_SET_PDEATHSIG = 1
_MNT_DETACH = 2


class Namespace(IntFlag):
    """``CLONE_NEW*`` of sched.h."""

    MOUNT = 0x00020000
    CGROUP = 0x02000000
    UTS = 0x04000000
    IPC = 0x08000000
    PID = 0x20000000
    NETWORK = 0x40000000


OWN = Namespace.MOUNT | Namespace.CGROUP | Namespace.UTS | Namespace.IPC | Namespace.PID
"""What each host gets of its own; its network namespace exists before it and has a name."""


class Mount(IntFlag):
    """``MS_*`` of sys/mount.h."""

    NONE = 0
    READ_ONLY = 0x1
    NOSUID = 0x2
    NODEV = 0x4
    NOEXEC = 0x8
    REMOUNT = 0x20
    BIND = 0x1000
    RECURSIVE = 0x4000
    PRIVATE = 0x40000
    SHARED = 0x100000


def unshare(namespaces: Namespace) -> None:
    """Put this process (for `Namespace.PID`: its next children) into new namespaces."""
    _check(_libc.unshare(int(namespaces)), "unshare")


def setns(fd: int, namespaces: Namespace) -> None:
    """Join namespaces of a process (`fd` from ``os.pidfd_open``) or the one that `fd` is open on."""
    _check(_libc.setns(fd, int(namespaces)), "setns")


def mount(
    source: Path | str, target: Path, fstype: str = "", flags: Mount = Mount.NONE, data: str = ""
) -> None:
    """Mount `source` on `target`; see mount(2)."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), fstype.encode(), ctypes.c_ulong(int(flags)), data.encode()
    )
    _check(result, f"mount {fstype or 'bind'} {source} on {target}")


def unmount(target: Path, *, detach: bool = False) -> None:
    """Unmount `target`; with `detach` also if it is busy or has mounts below it."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH if detach else 0), f"umount {target}")


def pivot_root(new_root: Path) -> None:
    """Make `new_root` (a mount point) the root of this mount namespace and let go of the old one."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise LabError(
            f"test hosts do not know this architecture: {platform.machine()}", "use x86_64 or aarch64"
        )
    os.chdir(new_root)
    _check(_libc.syscall(number, b".", b"."), f"pivot_root {new_root}")
    # pivot_root(".", ".") stacks the old root on the new one; see pivot_root(2), NOTES.
    unmount(Path(), detach=True)
    os.chdir("/")


def die_with_parent(signal_number: int) -> None:
    """Let the kernel send this process `signal_number` when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def _check(result: int, what: str) -> None:
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), what)
