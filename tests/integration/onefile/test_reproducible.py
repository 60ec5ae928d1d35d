"""Two builds with nothing in common but the sources give the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from distribution.builder import release
from distribution.builder.onefile import description, own, payload
from distribution.builder.onefile.runtime import runtime
from distribution.builder.places import Places
from tests.integration.onefile.conftest import REPOSITORY


@pytest.mark.long
async def test_two_builds_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "_LEVEL", 1)  # packed in a second; what is packed is the same
    entry = tmp_path / "entry"
    entry.write_bytes(b"Go's part: tests/integration/distribution compares its bytes")
    made = [await _build(Places(REPOSITORY, tmp_path / name), entry) for name in ("one", "another/place")]
    assert made[0] == made[1]


async def _build(places: Places, entry: Path) -> bytes:
    parts = runtime(description.load(places), release.debian_release(), places)
    await parts.base.build(places)
    await parts.build(places, lambda _: None)
    await own.write(parts, entry, "key", "HEAD", places)
    return own.kept("key", places).read_bytes()
