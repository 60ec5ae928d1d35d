"""The plan of an upgrade: a table of checks, applied to what was found of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rke2.upgrade.checks import (
    apis,
    arguments,
    certificates,
    charts,
    datastore,
    disk,
    nodes,
    snapshots,
    versions,
)
from rke2.upgrade.facts import Facts
from rke2.upgrade.findings import Finding, PlanSeverity, stop, worst


@dataclass(frozen=True)
class Check:
    """A row: what it is called, what it looks at, and what finds it."""

    name: str
    about: str
    run: Callable[[Facts], Iterator[Finding]]


CHECKS = (
    Check("version", "no minor version skipped, no older release", versions.check),
    Check(
        "nodes", "version skew of every node, servers before agents, nodes that are not Ready", nodes.check
    ),
    Check(
        "arguments", "arguments and feature gates of components that the new release refuses", arguments.check
    ),
    Check("apis", "deprecated APIs in use, objects of APIs that go", apis.check),
    Check("charts", "packaged charts that end, values that the new chart does not know", charts.check),
    Check("etcd", "health and size of etcd, and its point of no return", datastore.check),
    Check("disk", "room for images on every node", disk.check),
    Check("certificates", "certificates of this node that end soon", certificates.check),
    Check("snapshot", "the last snapshot that was proven to restore", snapshots.check),
)
"""In the order in which an operator would put right what they find. docs/upgrades.md has the same rows."""


@dataclass(frozen=True)
class VersionChange:
    """Something with a version: `now` or `then` is empty where there is none."""

    name: str
    now: str
    then: str


@dataclass(frozen=True)
class UpgradeFindings:
    """What was found, by check; one that found nothing is there, too."""

    facts: Facts
    findings: Mapping[str, tuple[Finding, ...]]

    @property
    def severity(self) -> PlanSeverity:
        return worst(finding for found in self.findings.values() for finding in found)

    @property
    def changes(self) -> tuple[VersionChange, ...]:
        """Images and charts that have another version in the new release."""
        return tuple(_changes(self.facts))


def make_plan(facts: Facts) -> UpgradeFindings:
    """Apply every check. What could not be looked at stands in the way: nothing is known of it."""
    return UpgradeFindings(facts, {check.name: tuple(_findings(check, facts)) for check in CHECKS})


def _findings(check: Check, facts: Facts) -> Iterator[Finding]:
    if why := facts.unasked.get(check.name):
        yield stop(f"cannot be looked at: {why}", "put that right, then make the plan again")
    yield from check.run(facts)


def _changes(facts: Facts) -> Iterator[VersionChange]:
    now, then = facts.now, facts.then
    for name in sorted(now.images.keys() & then.images.keys()):
        if now.images[name] != then.images[name]:
            yield VersionChange(name, now.images[name], then.images[name])
    for name, chart in (now.charts or {}).items():
        new = then.charts.get(name) if then.charts is not None else chart
        if new is None or new.version != chart.version:
            yield VersionChange(f"chart {name}", chart.version, new.version if new else "")
