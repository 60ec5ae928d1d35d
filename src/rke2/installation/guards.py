"""What a node refuses to become, unless it is told that the risk is taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from rke2.errors import UsageError
from rke2.release_version import ReleaseVersion, Succession


@dataclass(frozen=True)
class ReleaseChange:
    """An upgrade as guards see it.

    Args:
        now, then: the releases.
        servers: on an agent: server -> version of its kubelet; None where it is not known.
    """

    now: ReleaseVersion
    then: ReleaseVersion
    servers: Mapping[str, ReleaseVersion | None] = field(default_factory=dict)


@dataclass(frozen=True)
class UpgradeGuard:
    """A row: its name on the command line, what it says of a change (empty: nothing), and what is risked without it."""

    name: str
    objection: Callable[[ReleaseChange], str]
    remedy: str
    risk: str


def _downgrade(change: ReleaseChange) -> str:
    if Succession.of(change.now, change.then) is not Succession.DOWNGRADE:
        return ""
    return f"{change.then} is older than {change.now}, which runs"


def _skipped_minor(change: ReleaseChange) -> str:
    if Succession.of(change.now, change.then) is not Succession.SKIPPED_MINOR:
        return ""
    return f"Kubernetes {change.now.major}.{change.now.minor + 1} is skipped on the way to {change.then}"


def _servers_first(change: ReleaseChange) -> str:
    then = change.then.numbers[:2]
    late = [
        f"{name} {version or '(version not known)'}"
        for name, version in sorted(change.servers.items())
        if version is None or version.numbers[:2] < then
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
