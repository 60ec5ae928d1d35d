"""Programs that node components call on the host: its own where they do, those of the runtime image elsewhere.

The kubelet mounts volumes by mount(8), the CNI plugin ``portmap`` writes rules by iptables, and so on (`GROUPS`). A
host may have none of them, or others of the same name: the kubelet passes ``--no-canonicalize``, at which busybox'
mount(8) fails, or ignores it. So the host's are tried. For those that fail, links in one directory lead to the
runtime image's; it stands in the ``PATH`` of containerd and kubelet before the host's directories.

Of iptables' two front ends the one is used whose rules are there already: rules of one are not seen by the other.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

log = logging.getLogger(__name__)

_TIMEOUT = 15

Source = Literal["host", "runtime image", "missing"]
Backend = Literal["nft", "legacy"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


@dataclass(frozen=True)
class ProgramGroup:
    """Programs that come from one place, all of them.

    Args:
        probe: a command that ends with 0 if the host's do what is asked of them. It must do nothing in any program of
            that name: busybox' mount(8) ignores long options and mounts, and fsck(8) without a device checks all.
        used_by: who calls them, and what for.
        says: what the probe prints where they are the right ones.
    """

    name: str
    programs: tuple[str, ...]
    probe: tuple[str, ...]
    used_by: str
    says: str = ""


IPTABLES = ProgramGroup(
    "iptables",
    tuple(f"{family}{verb}" for family in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")),
    ("iptables", "-w", "5", "-t", "nat", "-S", "POSTROUTING"),
    "CNI plugins (ports of the host, masquerading, firewall), kubelet, `rke2-killall.sh`",
)

GROUPS = (
    IPTABLES,
    ProgramGroup(
        "mount",
        ("mount", "umount"),
        ("mount", "--no-canonicalize", "--version"),
        "kubelet: volumes; `rke2-killall.sh`",
        says="util-linux",
    ),
    ProgramGroup("losetup", ("losetup",), ("losetup", "--version"), "kubelet: volumes used as block devices"),
    ProgramGroup("blkid", ("blkid",), ("blkid", "-V"), "kubelet: file systems of local block devices"),
    ProgramGroup("blockdev", ("blockdev",), ("blockdev", "--version"), "kubelet: growing of file systems"),
    ProgramGroup(
        "fsck", ("fsck",), ("fsck", "-N", "-t", "ext4", "/dev/null"), "kubelet: check of local block devices"
    ),
    ProgramGroup(
        "e2fsprogs",
        (*(f"{verb}.ext{n}" for verb in ("mkfs", "fsck") for n in (2, 3, 4)), "resize2fs"),
        ("mkfs.ext4", "-V"),
        "kubelet: ext2, ext3 and ext4 on local block devices",
    ),
    ProgramGroup("modprobe", ("modprobe",), ("modprobe", "--version"), "rke2: kernel modules of a node"),
    ProgramGroup(
        "setpriv",
        ("setpriv",),
        ("setpriv", "--pdeathsig", "KILL", "--", "setpriv", "--version"),
        "rke2: starts containerd and kubelet, which end with it",
    ),
    ProgramGroup(
        "ip", ("ip",), ("ip", "link", "show", "type", "bridge"), "`rke2-killall.sh`: interfaces, routes"
    ),
)
"""Everything that is called by its bare name and has to be on a node."""


@dataclass(frozen=True)
class Choice:
    """Where the programs of a group come from.

    Args:
        note: which of several kinds it is (iptables' front end), or why it is missing.
        links: what has to lie before the host's directories in ``PATH``.
    """

    group: str
    source: Source
    note: str = ""
    links: Mapping[str, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.group} ({self.note})" if self.note else self.group


@dataclass(frozen=True)
class HostPrograms:
    """The host's programs.

    Args:
        path: the directories they are in, as in ``PATH``.
        root: where /proc is.
    """

    path: str
    root: Path = Path("/")

    def has(self, programs: Iterable[str]) -> bool:
        return all(shutil.which(program, path=self.path) for program in programs)

    def does(self, command: Sequence[str], says: str = "") -> bool:
        """Whether `command` ends with 0 and prints `says`."""
        printed = self.run(command)
        return printed is not None and says in printed

    def run(self, command: Sequence[str]) -> str | None:
        """What `command` prints, None if it fails."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env={"PATH": self.path, "LC_ALL": "C"},
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            log.debug("%s: %s", " ".join(command), error)
            return None
        if done.returncode:
            log.debug("%s: %s", " ".join(command), done.stderr.strip())
        return done.stdout if done.returncode == 0 else None


def choose(aux: Path, path: str, root: Path = Path("/")) -> list[Choice]:
    """Try the host's programs, for each group.

    Args:
        aux: the runtime image's programs; there may be none.
        path: the host's directories.
    """
    host = HostPrograms(path, root)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda group: _choice(group, host, aux), GROUPS))


def _choice(group: ProgramGroup, host: HostPrograms, aux: Path) -> Choice:
    if group is IPTABLES:
        return _iptables(host, aux)
    if host.has(group.programs) and host.does(group.probe, group.says):
        return Choice(group.name, "host")
    return _own(group, {program: aux / program for program in group.programs})


def _own(group: ProgramGroup, links: Mapping[str, Path], note: str = "") -> Choice:
    if all(target.exists() for target in links.values()):
        return Choice(group.name, "runtime image", note, links)
    return Choice(group.name, "missing", "neither the host nor the runtime image has what works")


# --- iptables ----------------------------------------------------------------------------------------
def _iptables(host: HostPrograms, aux: Path) -> Choice:
    legacy = legacy_rules(host, aux)
    if host.has(IPTABLES.programs) and host.does(IPTABLES.probe):
        backend: Backend = (
            "legacy" if "nf_tables" not in (host.run(["iptables", "--version"]) or "") else "nft"
        )
        if backend == "legacy" or not legacy:
            return Choice(IPTABLES.name, "host", _told(backend))
        names = {program: front_end(program, "legacy") for program in IPTABLES.programs}
        if host.has(names.values()):
            links = {
                name: Path(shutil.which(other, path=host.path) or other) for name, other in names.items()
            }
            return Choice(IPTABLES.name, "host", _told("legacy"), links)
    works = host.does([str(aux / "iptables-nft"), *IPTABLES.probe[1:]])
    backend = "nft" if works and not legacy else "legacy"
    links = {program: aux / front_end(program, backend) for program in IPTABLES.programs}
    return _own(IPTABLES, links, _told(backend))


def legacy_rules(host: HostPrograms, aux: Path) -> bool:
    """Whether somebody has rules in the tables of iptables' old front end. Their tables are not made by looking."""
    return any(_has_legacy_rules(host, aux, family) for family in ("ip", "ip6"))


def _has_legacy_rules(host: HostPrograms, aux: Path, family: str) -> bool:
    try:
        tables = (host.root / "proc/net" / f"{family}_tables_names").read_text().split()
    except OSError:
        return False
    if not tables:
        return False
    name = f"{family}tables-legacy-save"
    saved = host.run([shutil.which(name, path=host.path) or str(aux / name)]) or ""
    return any(line.startswith("-A ") for line in saved.splitlines())


def front_end(program: str, backend: Backend) -> str:
    """The program's name that says which front end it is: ``iptables-legacy-save``."""
    family, dash, verb = program.partition("-")
    return f"{family}-{backend}{dash}{verb}"


def _told(backend: Backend) -> str:
    """As ``iptables --version`` says it."""
    return "nf_tables" if backend == "nft" else "legacy"


# --- what follows ------------------------------------------------------------------------------------
def link(choices: Iterable[Choice], directory: Path) -> None:
    """Make `directory` hold the links of `choices` and nothing else. A link that is right is not touched: it is used.

    Raises:
        OSError: it cannot be written.
    """
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    wanted = {name: target for choice in choices for name, target in choice.links.items()}
    for name, target in wanted.items():
        _point(directory / name, target)
    for path in list(directory.iterdir()):
        if path.name not in wanted:
            path.unlink()


def _point(path: Path, target: Path) -> None:
    if path.is_symlink() and path.readlink() == target:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def summary(choices: Iterable[Choice]) -> dict[str, list[str]]:
    """Source -> what comes from there, for ``rke2 status``."""
    found: dict[str, list[str]] = {}
    for choice in choices:
        found.setdefault(choice.source, []).append(str(choice))
    return found


def host_path(data_dir: Path, path: str = "") -> str:
    """The host's own directories of `path`: without those of rke2, which may stand there for its operator.

    Args:
        path: as in ``PATH``; empty takes the process's.
    """
    directories = (path or os.environ.get("PATH") or os.defpath).split(os.pathsep)
    return os.pathsep.join(each for each in directories if not Path(each).is_relative_to(data_dir))
