"""etcd: whether it is well, and the point behind which there is no way back."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.release_version import ReleaseVersion
from rke2.upgrade.facts import EtcdFacts, Facts
from rke2.upgrade.findings import Finding, note, stop, warning

FULL = 0.75
"""Part of the quota from which on the database counts as nearly full."""


def check(facts: Facts) -> Iterator[Finding]:
    """Health, size, and what the new release's etcd does to the data."""
    if facts.etcd is None:
        return
    yield from _health(facts.etcd)
    yield from _size(facts.etcd)
    yield from _step(facts, facts.etcd)


def _health(etcd: EtcdFacts) -> Iterator[Finding]:
    if etcd.trouble:
        yield stop(f"etcd is not well: {etcd.trouble}", "put that right first")
    silent = [member.node for member in etcd.members if not member.version]
    if silent and not etcd.trouble:
        yield stop(
            f"members that do not answer: {', '.join(silent)}",
            "start rke2 there, or delete the Node of a server that is gone for good",
        )
    if len(etcd.members) - len(silent) == 2:
        yield warning("etcd has two members: while one restarts there is no quorum", "add a third server")


def _size(etcd: EtcdFacts) -> Iterator[Finding]:
    if etcd.quota and etcd.size > FULL * etcd.quota:
        yield warning(
            f"the database has {etcd.size >> 20} MiB of at most {etcd.quota >> 20}",
            "remove what is not needed; a restart of rke2 on the server defragments it",
        )


def _step(facts: Facts, etcd: EtcdFacts) -> Iterator[Finding]:
    """etcd raises the version of its data by itself, some two seconds after its last member runs the new minor."""
    then, now = facts.then.etcd, _oldest(etcd)
    if then is None or now is None:
        yield note(
            "whether etcd changes is not known: the release's files are not at hand",
            "name their directory with --to",
        )
    elif then.minor > now.minor + 1:
        yield stop(
            f"etcd {then} after {now} skips a minor version, which etcd refuses",
            "upgrade to the release between them first",
        )
    elif then.minor > now.minor:
        yield warning(
            f"point of no return: `rke2 upgrade finish` raises etcd, which stays {_minor(now)} until then; with the "
            f"last member the data become {_minor(then)} and etcd {_minor(now)} does not start on them any more",
            "until then each server can go back by itself; after it only a snapshot taken before, or "
            "`rke2 upgrade finish --undo` while every member runs and answers, leads back",
        )
    elif newer := [member for member in etcd.members if _newer(member.storage, then)]:
        told = ", ".join(f"{member.node} {member.storage}" for member in newer)
        yield stop(
            f"etcd {then} does not start on the data of {told}",
            f"restore a snapshot of etcd {_minor(then)}, or begin etcd's downgrade on the running cluster",
        )


def _oldest(etcd: EtcdFacts) -> ReleaseVersion | None:
    found = (ReleaseVersion.parse(f"v{member.version}") for member in etcd.members)
    return min((version for version in found if version), key=lambda version: version.minor, default=None)


def _newer(storage: str, then: ReleaseVersion) -> bool:
    found = ReleaseVersion.parse(f"v{storage}")
    return found is not None and found.minor > then.minor


def _minor(version: ReleaseVersion) -> str:
    return f"{version.major}.{version.minor}"
