"""Kernel modules and sysctls a node needs (lifecycle reference §3, step 5).

All of it is best effort: a module may be built in, a container may neither load modules nor write sysctls and still
have been prepared by its host. What could not be done is returned, to be reported once.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

MODULES = (
    "overlay",
    "nf_conntrack",
    "br_netfilter",
    "iptable_nat",
    "iptable_filter",
    "nft-expr-counter",
    "nft-chain-2-nat",
)
IPV6_MODULES = ("ip6table_nat", "ip6table_filter", "nft-chain-10-nat")
"""``nft-…`` are aliases the kernel itself asks for: nftables' counter expression, NAT chains of family 2 and 10."""

SYSCTLS = {
    "net.ipv4.conf.all.forwarding": 1,
    "net.ipv4.conf.default.forwarding": 1,
    "net.bridge.bridge-nf-call-iptables": 1,
}
IPV6_SYSCTLS = {
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv6.conf.default.forwarding": 1,
    "net.bridge.bridge-nf-call-ip6tables": 1,
}

HARDENED_SYSCTLS = {
    "vm.overcommit_memory": 1,
    "vm.panic_on_oom": 0,
    "kernel.panic": 10,
    "kernel.panic_on_oops": 1,
}
"""Values that the profile ``cis`` demands and does not set."""

_TIMEOUT = 30


def prepare(
    ipv6: bool,
    extra: Mapping[str, int],
    more: tuple[str, ...] = (),
    root: Path = Path("/"),
    path: str | None = None,
) -> list[str]:
    """Load the modules and set the sysctls.

    Args:
        ipv6: the cluster has IPv6 addresses.
        extra: further sysctls (connection tracking).
        more: further modules.
        path: where modprobe(8) is looked for; that of the process if None.

    Returns:
        What could not be done, one message each; all of it has been logged.
    """
    modules = MODULES + (IPV6_MODULES if ipv6 else ()) + more
    sysctls = {**SYSCTLS, **(IPV6_SYSCTLS if ipv6 else {}), **extra}
    problems = [*load_modules(modules, root, path), *set_sysctls(sysctls, root)]
    for problem in problems:
        log.warning("%s", problem)
    return problems


def load_modules(modules: Iterable[str], root: Path = Path("/"), path: str | None = None) -> list[str]:
    """Load what is not there yet; returns what could not be loaded."""
    missing = [name for name in modules if not (root / "sys/module" / name.replace("-", "_")).exists()]
    modprobe = shutil.which("modprobe", path=path)
    if missing and modprobe is None:
        return [f"kernel modules {', '.join(missing)} were not loaded: there is no modprobe"]
    reasons: dict[str, list[str]] = {}
    for name in missing:
        if reason := _load(str(modprobe), name):
            reasons.setdefault(reason, []).append(name)
    return [
        f"kernel modules {', '.join(names)} were not loaded: {reason}" for reason, names in reasons.items()
    ]


def _load(modprobe: str, name: str) -> str:
    """Why the module could not be loaded; empty if it was."""
    try:
        result = subprocess.run(
            [modprobe, "--quiet", name], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    reason = result.stderr.strip() or "modprobe does not find them; they may be built into the kernel"
    return reason if result.returncode else ""


def has_module(name: str, root: Path = Path("/")) -> bool:
    """Whether the kernel has the module: loaded, built in, or to be loaded. Nothing is loaded, and nobody asked."""
    if (root / "sys/module" / name).exists():
        return True
    kept = root / "lib/modules" / os.uname().release
    return any(name in _modules_in(kept / listed) for listed in ("modules.builtin", "modules.dep"))


def _modules_in(listed: Path) -> set[str]:
    """The names in depmod(8)'s ``modules.dep`` or the build's ``modules.builtin``: lines that begin with a file's path.

    A file ``ip-vs.ko.xz`` holds the module ``ip_vs``.
    """
    try:
        paths = [line.partition(":")[0] for line in listed.read_text().splitlines()]
    except OSError:
        return set()
    return {path.rpartition("/")[2].partition(".ko")[0].replace("-", "_") for path in paths}


def set_sysctls(values: Mapping[str, int], root: Path = Path("/")) -> list[str]:
    """Set what has another value; returns what could not be set."""
    problems = []
    for name, value in values.items():
        try:
            if read_sysctl(name, root) != value:
                sysctl_path(name, root).write_text(f"{value}\n")
                log.info("set sysctl %s = %d", name, value)
        except OSError as error:
            problems.append(f"sysctl {name} = {value} was not set: {error.strerror}")
    return problems


def wrong_sysctls(demanded: Mapping[str, int], root: Path = Path("/")) -> dict[str, int | None]:
    """The sysctls whose value is not the demanded one, with the value they have (None: there is no such sysctl)."""
    found: dict[str, int | None] = {}
    for name in demanded:
        try:
            found[name] = read_sysctl(name, root)
        except (OSError, ValueError):
            found[name] = None
    return {name: value for name, value in found.items() if value != demanded[name]}


def read_sysctl(name: str, root: Path = Path("/")) -> int:
    """The value of a numeric sysctl.

    Raises:
        OSError: there is no such sysctl.
        ValueError: it is not a number.
    """
    return int(sysctl_path(name, root).read_text())


def boot_id(root: Path = Path("/")) -> str:
    """The random name of this run of the kernel."""
    return sysctl_path("kernel.random.boot_id", root).read_text().strip()


def sysctl_path(name: str, root: Path = Path("/")) -> Path:
    return root / "proc/sys" / name.replace(".", "/")
