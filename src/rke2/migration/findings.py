"""What a check can find, how bad it is, and what that makes of the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is; the value is the exit code that the worst one causes.

    1 is left out: with it every verb says that it failed itself.
    """

    NOTE = 0
    CHANGE = 2
    STOP = 3

    @property
    def word(self) -> str:
        return self.name.lower()


KINDS: dict[str, tuple[tuple[Severity, ...], str]] = {
    "config": ((Severity.STOP,), "config.yaml cannot be used: an unknown key, a value that is refused"),
    "flag": ((Severity.STOP,), "a flag of RKE2 that this release refuses"),
    "data": ((Severity.STOP,), "the data directory lacks what a server or an agent leaves"),
    "datastore": ((Severity.STOP,), "the cluster is not kept in etcd: SQLite, an external datastore"),
    "reset": (
        (Severity.NOTE,),
        "a cluster-reset or a restore, after which RKE2 was not started: the next start ends it",
    ),
    "tombstone": ((Severity.NOTE,), "the etcd member was removed from its cluster; the node joins again"),
    "version": ((Severity.NOTE, Severity.CHANGE, Severity.STOP), "the release that wrote the data"),
    "certificates": (
        (Severity.NOTE, Severity.STOP),
        "what is issued again at the start; keys that cannot be used",
    ),
    "chart": (
        (Severity.CHANGE,),
        "a chart that RKE2 deploys and this release does not bring, or not by itself",
    ),
    "manifest": ((Severity.NOTE,), "files of users in the manifests directory, which stay"),
    "static-pod": ((Severity.NOTE,), "which containers of the control plane restart, and why"),
    "cloud-controller": ((Severity.CHANGE,), "the cloud controller manager ends; none is packaged"),
    "process": ((Severity.NOTE,), "RKE2 runs: it has to be stopped before this program starts"),
    "program": ((Severity.NOTE,), "the program that is in place now, which the way back needs"),
}
"""Kind -> severities its findings have, and what it is about. docs/from-rke2.md has the same rows."""


@dataclass(frozen=True)
class MigrationFinding:
    """One thing the operator has to know.

    Args:
        kind: a key of `KINDS`.
        message: what is so, in one sentence.
        remedy: what to do about it; empty if there is nothing to do.
    """

    kind: str
    severity: Severity
    message: str
    remedy: str = ""


def worst(findings: Iterable[MigrationFinding]) -> Severity:
    """The severity of all of them together."""
    return max((finding.severity for finding in findings), default=Severity.NOTE)
