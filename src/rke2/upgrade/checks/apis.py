"""APIs of Kubernetes that are in use and go, or are about to."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.upgrade.facts import Facts, RequestedApi
from rke2.upgrade.findings import Finding, note, stop, warning

_WHO = "the audit log says who asks (annotation k8s.io/deprecated)"


def check(facts: Facts) -> Iterator[Finding]:
    """Deprecated APIs that were asked for, and objects that the new release could not read."""
    for api in sorted(facts.requested, key=lambda api: api.name):
        yield _requested(api, facts.then.version.minor)
    for resource, count in sorted(facts.stored.items()):
        yield stop(
            f"{count} objects of {resource}, which Kubernetes 1.{facts.then.version.minor} does not serve",
            f"delete them first: kubectl get {resource} -A",
        )


def _requested(api: RequestedApi, minor: int) -> Finding:
    if not api.removed:
        return note(f"{api.name} is in use and deprecated; its removal is not planned")
    if int(api.removed.partition(".")[2] or 0) <= minor:
        return stop(
            f"{api.name} is in use, and Kubernetes {api.removed} does not serve it any more",
            f"move its users to another version first; {_WHO}",
        )
    return warning(
        f"{api.name} is in use, and Kubernetes {api.removed} removes it", f"plan its replacement; {_WHO}"
    )
