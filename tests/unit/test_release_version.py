"""The version of a release, as Nodes, Plans, directories and tags of images have it."""

from __future__ import annotations

import pytest

from rke2.release_version import ReleaseVersion


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
