"""What a hardening profile asks of the host: looked at before a start, and done by ``rke2 prepare-host``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import HostError
from rke2.host.files import ensure_dir, write_atomic
from rke2.host.kernel import set_sysctls, wrong_sysctls

USER = "etcd"
SYSCTL_FILE = Path("etc/sysctl.d/60-rke2-cis.conf")
_HEAD = "# Kernel settings that `profile: cis` of rke2 asks for; written by `rke2 prepare-host`.\n"


def missing_accounts(root: Path = Path("/")) -> list[str]:
    """What there is to say of a missing user or group, in RKE2's words; local files alone count, as there."""
    found = [
        (kind, _has_entry(root / f"etc/{file}", USER))
        for kind, file in (("user", "passwd"), ("group", "group"))
    ]
    return [f"missing required: {kind}: unknown {kind} {USER}" for kind, there in found if not there]


def wrong_values(demanded: Mapping[str, int], root: Path = Path("/")) -> list[str]:
    """What there is to say of each sysctl with another value, in RKE2's words."""
    return [
        f"invalid kernel parameter value {name}={'(none)' if value is None else value} - expected {demanded[name]}"
        for name, value in wrong_sysctls(demanded, root).items()
    ]


def require(profile: str, demanded: Mapping[str, int], *, accounts: bool, root: Path = Path("/")) -> None:
    """See that the host is as `profile` asks.

    Raises:
        HostError: it is not; the message has all of it.
    """
    wrong = [*wrong_values(demanded, root), *(missing_accounts(root) if accounts else ())]
    if wrong:
        raise HostError(
            f"the host is not as profile {profile} asks: {'; '.join(wrong)}",
            f"run `rke2 prepare-host --profile {profile}`, which shows what it is going to do",
        )


# --- doing it --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class HostChange:
    """One thing to do.

    Args:
        shown: what it is, for whoever has to agree.
        do: does it; raises OSError or HostError.
    """

    shown: str
    do: Callable[[], None]


def changes(demanded: Mapping[str, int], *, accounts: bool, root: Path = Path("/")) -> list[HostChange]:
    """What is left to do on this host; empty if it is as it should be, also after its next boot."""
    return [*_sysctl_changes(demanded, root), *(_account_changes(root) if accounts else ())]


def _sysctl_changes(demanded: Mapping[str, int], root: Path) -> Iterator[HostChange]:
    file, content = root / SYSCTL_FILE, _HEAD + "".join(f"{k} = {v}\n" for k, v in demanded.items())
    if demanded and not _holds(file, demanded):
        shown = (
            f"write /{SYSCTL_FILE}, for the next boot: {', '.join(f'{k}={v}' for k, v in demanded.items())}"
        )
        yield HostChange(shown, lambda: _write(file, content))
    for name, value in wrong_sysctls(demanded, root).items():
        yield _sysctl(name, value, demanded[name], root)


def _sysctl(name: str, value: int | None, wanted: int, root: Path) -> HostChange:
    def do() -> None:
        if problems := set_sysctls({name: wanted}, root):
            raise HostError(problems[0])

    return HostChange(f"set sysctl {name} = {wanted}, which is {value} now", do)


def _account_changes(root: Path) -> Iterator[HostChange]:
    group, passwd = root / "etc/group", root / "etc/passwd"
    if not _has_entry(group, USER):
        yield HostChange(f"add the system group {USER}", lambda: _run(["groupadd", "--system", USER], root))
    if not _has_entry(passwd, USER):
        command = ["useradd", "--system", "--comment", "etcd user", "--shell", "/sbin/nologin"]
        command += ["--no-create-home", "--gid", USER, USER]
        yield HostChange(f"add the system user {USER}, without home and login", lambda: _run(command, root))


def _run(command: list[str], root: Path) -> None:
    """Run a program of the package passwd (or shadow-utils)."""
    program = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise HostError(
            f"there is no {command[0]} on this host",
            f"add a system user and a group named {USER} by the means of this host",
        )
    prefix = [] if root == Path("/") else ["--prefix", str(root)]
    done = subprocess.run([program, *prefix, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{command[0]} failed: {done.stderr.strip()}")


def _write(file: Path, content: str) -> None:
    ensure_dir(file.parent, 0o755)
    write_atomic(file, content, 0o644)


def _holds(file: Path, demanded: Mapping[str, int]) -> bool:
    """Whether the file sets all of `demanded`; what else it sets is its writer's business."""
    try:
        lines = [line.partition("=") for line in file.read_text().splitlines() if "=" in line]
    except OSError:
        return False
    found = {name.strip(): value.strip() for name, _, value in lines if not name.lstrip().startswith("#")}
    return all(found.get(name) == str(value) for name, value in demanded.items())


def _has_entry(file: Path, name: str) -> bool:
    try:
        return any(line.startswith(f"{name}:") for line in file.read_text().splitlines())
    except OSError:
        return False
