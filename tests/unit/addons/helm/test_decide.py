from __future__ import annotations

from typing import Any

import pytest

from rke2.addons.helm.decide import Action, decide, is_installed
from rke2.addons.helm.releases import Release

HASH = "A" * 64
OLD = "B" * 64


def job(
    config_hash: str = HASH, *conditions: str, suspend: bool = False, generation: int = 2, **status: int
) -> dict[str, Any]:
    annotations = {"helmcharts.helm.cattle.io/configHash": f"SHA256={config_hash}"}
    return {
        "metadata": {"generation": generation},
        "spec": {"suspend": suspend, "template": {"metadata": {"annotations": annotations}}},
        "status": {"conditions": [{"type": c, "status": "True"} for c in conditions], **status},
    }


@pytest.mark.parametrize(
    ("what", "live", "achieved", "action"),
    [
        ("no job", None, True, Action.RUN),
        ("just created", job(suspend=True, generation=1), False, Action.WAIT),
        (
            "seen by the Job controller",
            job(HASH, "Suspended", suspend=True, generation=1),
            False,
            Action.RESUME,
        ),
        ("suspended by hand", job(HASH, "Suspended", suspend=True, generation=3), False, Action.WAIT),
        ("at work", job(HASH, active=1), False, Action.WAIT),
        ("gave up", job(HASH, "Failed"), False, Action.WAIT),
        ("done", job(HASH, "Complete"), True, Action.WAIT),
        ("done, but the release is not as wanted", job(HASH, "Complete"), False, Action.RUN),
        ("done with an older configuration", job(OLD, "Complete"), False, Action.RUN),
        ("just resumed with an older configuration", job(OLD), False, Action.STOP),
        ("at work on an older configuration", job(OLD, active=1), False, Action.STOP),
        ("its pods are still ending", job(OLD, "Suspended", terminating=1, suspend=True), False, Action.STOP),
        ("outdated before it was seen", job(OLD, suspend=True, generation=1), False, Action.STOP),
        ("outdated when it was seen", job(OLD, "Suspended", suspend=True, generation=1), False, Action.RUN),
        ("gave up with an older configuration", job(OLD, "Failed"), False, Action.RUN),
    ],
)
def test_next_step(what: str, live: dict[str, Any] | None, achieved: bool, action: Action) -> None:
    assert decide(live, HASH, achieved=achieved) is action, what


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (None, False),
        (Release(3, "deployed", HASH[:63]), True),
        (Release(3, "failed", HASH[:63]), False),
        (Release(3, "deployed", OLD[:63]), False),
        (Release(3, "deployed", ""), False),
    ],
)
def test_a_release_is_as_wanted_when_deployed_from_the_wanted_hash(
    release: Release | None, expected: bool
) -> None:
    assert is_installed(release, HASH) is expected
