"""What a node refuses to become, unless it is told that the risk is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from rke2.errors import UsageError

_NUMBERS = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class ReleaseChange:
    """An upgrade as guards see it.

    Args:
        now, then: versions such as ``v1.37.2+rke2py1``.
        servers: on an agent: server -> version of its kubelet.
    """

    now: str
    then: str
    servers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UpgradeGuard:
    """A row: its name on the command line, what it says of a change (empty: nothing), and what is risked without it."""

    name: str
    objection: Callable[[ReleaseChange], str]
    remedy: str
    risk: str


def numbers(version: str) -> tuple[int, int, int]:
    """Major, minor and patch of a version; zeros if it is not one."""
    found = _NUMBERS.match(version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


def _downgrade(change: ReleaseChange) -> str:
    if numbers(change.then) >= numbers(change.now):
        return ""
    return f"{change.then} is older than {change.now}, which runs"


def _skipped_minor(change: ReleaseChange) -> str:
    now, then = numbers(change.now)[1], numbers(change.then)[1]
    return f"Kubernetes 1.{now + 1} is skipped on the way to {change.then}" if then > now + 1 else ""


def _servers_first(change: ReleaseChange) -> str:
    then = numbers(change.then)[:2]
    late = [
        f"{name} {version}" for name, version in sorted(change.servers.items()) if numbers(version)[:2] < then
    ]
    return f"servers still run an earlier Kubernetes than {change.then}: {', '.join(late)}" if late else ""


GUARDS = (
    UpgradeGuard(
        "downgrade",
        _downgrade,
        "restore a snapshot that was taken with the older release instead",
        "etcd and Kubernetes do not promise to read what newer ones wrote",
    ),
    UpgradeGuard(
        "skipped-minor",
        _skipped_minor,
        "upgrade to that one first",
        "components that are more than one minor version apart may not understand each other",
    ),
    UpgradeGuard(
        "servers-first",
        _servers_first,
        "upgrade the servers before any agent",
        "a kubelet that is newer than an API server is not supported by Kubernetes",
    ),
)
"""docs/upgrades.md has the same rows."""


def refuse(change: ReleaseChange, skipped: Collection[str] = ()) -> None:
    """See that nothing forbids the change.

    Args:
        skipped: names of guards that are not asked.

    Raises:
        UsageError: something does.
    """
    for guard in GUARDS:
        if guard.name not in skipped and (objection := guard.objection(change)):
            raise UsageError(
                objection, f"{guard.remedy}; --skip-checks {guard.name} goes on, with a risk: {guard.risk}"
            )
