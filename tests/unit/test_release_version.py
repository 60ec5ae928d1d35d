"""The version of a release, as Nodes, Plans, directories and tags of images have it."""

from __future__ import annotations

import pytest

from rke2.release_version import ReleaseVersion, Succession


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.36.4-rke2r1", ReleaseVersion(1, 36, 4, "rke2r1")),
        ("v1.36.4+rke2r1", ReleaseVersion(1, 36, 4, "rke2r1")),
        ("v1.36.4", ReleaseVersion(1, 36, 4)),
        ("v1.37.0-rc1+rke2r1", ReleaseVersion(1, 37, 0, "rc1+rke2r1")),
        ("v1.36.4 or so", None),
        ("sha256", None),
        ("", None),
    ],
)
def test_versions(text: str, expected: ReleaseVersion | None) -> None:
    assert ReleaseVersion.parse(text) == expected
    if expected and "+" in text:
        assert str(expected) == text


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        ("v1.36.4+rke2py1", "v1.36.4+rke2py2", Succession.SUPPORTED),
        ("v1.36.4", "v1.37.0", Succession.SUPPORTED),
        ("v1.36.4", "v1.36.3", Succession.DOWNGRADE),
        ("v1.37.0", "v1.36.9", Succession.DOWNGRADE),
        ("v1.36.4", "v1.38.0", Succession.SKIPPED_MINOR),
        ("v1.36.4", "v2.0.0", Succession.SKIPPED_MINOR),
    ],
)
def test_how_one_release_follows_another(now: str, then: str, expected: Succession) -> None:
    before, after = ReleaseVersion.parse(now), ReleaseVersion.parse(then)
    assert before and after and Succession.of(before, after) is expected
