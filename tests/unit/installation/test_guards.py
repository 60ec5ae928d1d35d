"""What a node refuses to become, and the flag that says what is risked."""

from __future__ import annotations

import pytest

from rke2.config.paths import Paths
from rke2.errors import UsageError
from rke2.installation import begin, servers
from rke2.installation.guards import GUARDS, ReleaseChange, refuse
from rke2.lifecycle.progress import ProcessStatus
from rke2.release_version import ReleaseVersion

OLD, NEW, NEXT = (
    ReleaseVersion(1, 36, 4, "rke2py1"),
    ReleaseVersion(1, 37, 2, "rke2py1"),
    ReleaseVersion(1, 38, 0),
)


@pytest.mark.parametrize(
    ("change", "guard"),
    [
        (ReleaseChange(NEW, OLD), "downgrade"),
        (ReleaseChange(OLD, OLD._replace(patch=3)), "downgrade"),
        (ReleaseChange(OLD, NEXT), "skipped-minor"),
        (ReleaseChange(OLD, NEW, {"server-0": NEW, "server-1": OLD}), "servers-first"),
        (ReleaseChange(OLD, NEW, {"server-0": None}), "servers-first"),
    ],
)
def test_what_is_refused_until_the_risk_is_taken(change: ReleaseChange, guard: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse(change)
    risk = next(each.risk for each in GUARDS if each.name == guard)
    assert f"--skip-checks {guard}" in refused.value.remedy and risk in refused.value.remedy
    refuse(change, [guard])


@pytest.mark.parametrize(
    "change",
    [
        ReleaseChange(OLD, NEW),
        ReleaseChange(OLD, OLD),
        ReleaseChange(OLD, OLD._replace(patch=5), {"server-0": OLD}),
        ReleaseChange(OLD, NEW, {"server-0": NEW._replace(patch=0), "server-1": NEW}),
    ],
)
def test_what_is_allowed(change: ReleaseChange) -> None:
    refuse(change)


@pytest.mark.parametrize(("stage_only", "asked"), [(True, {}), (False, {"server-0": OLD})])
def test_servers_are_not_asked_for_what_is_only_staged(
    monkeypatch: pytest.MonkeyPatch, stage_only: bool, asked: dict[str, ReleaseVersion]
) -> None:
    """A Plan stages a release on every node before the first server gets it."""
    monkeypatch.setattr(servers, "versions", lambda paths: {"server-0": OLD})
    agent = ProcessStatus(role="agent", version=str(OLD), pid=1, started=0.0)
    change = begin._change(Paths(), agent, begin.UpgradeWish(str(NEW), stage_only=stage_only))
    assert change == ReleaseChange(OLD, NEW, asked)
