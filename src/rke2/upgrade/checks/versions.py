"""Which release may follow which."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.config.kubernetes import MINORS
from rke2.release_version import Succession
from rke2.upgrade.facts import Facts
from rke2.upgrade.findings import Finding, note, stop, warning


def check(facts: Facts) -> Iterator[Finding]:
    """No minor version is skipped, and there is no way to an older release."""
    now, then = facts.now.version, facts.then.version
    way = Succession.of(now, then)
    if way is Succession.DOWNGRADE:
        yield stop(
            f"{then} is older than {now}, which runs: a downgrade, which Kubernetes and etcd do not support",
            "restore a snapshot that was taken with the older release instead",
        )
    elif then == now:
        yield note(f"{now} runs already")
    elif way is Succession.SKIPPED_MINOR:
        yield stop(
            f"Kubernetes 1.{now.minor + 1} is skipped: components are one minor version apart at most",
            f"upgrade to a release of Kubernetes 1.{now.minor + 1} first",
        )
    if then.minor > max(MINORS):
        yield warning(
            f"this program does not know Kubernetes 1.{then.minor}: nothing can be said of arguments it refuses",
            "run the plan with the program of the new release",
        )
