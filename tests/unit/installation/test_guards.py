"""What a node refuses to become, and the flag that says what is risked."""

from __future__ import annotations

import pytest

from rke2.errors import UsageError
from rke2.installation.guards import GUARDS, ReleaseChange, refuse

OLD, NEW, NEXT = "v1.36.4+rke2py1", "v1.37.2+rke2py1", "v1.38.0+rke2py1"


@pytest.mark.parametrize(
    ("change", "guard"),
    [
        (ReleaseChange(NEW, OLD), "downgrade"),
        (ReleaseChange("v1.36.4+rke2py1", "v1.36.3+rke2py1"), "downgrade"),
        (ReleaseChange(OLD, NEXT), "skipped-minor"),
        (ReleaseChange(OLD, NEW, {"server-0": "v1.37.2", "server-1": "v1.36.4"}), "servers-first"),
        (ReleaseChange(OLD, NEW, {"server-0": "not known"}), "servers-first"),
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
        ReleaseChange(OLD, "v1.36.5+rke2py1", {"server-0": "v1.36.4"}),
        ReleaseChange(OLD, NEW, {"server-0": "v1.37.0", "server-1": "v1.37.2"}),
    ],
)
def test_what_is_allowed(change: ReleaseChange) -> None:
    refuse(change)
