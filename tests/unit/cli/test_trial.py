"""Which data directory a start looks into for an upgrade, before it reads its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.cli import configured
from rke2.cli.trial import data_dir


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", "/configured"),
        ("--debug", "/configured"),
        ("--data-dir /flag", "/flag"),
        ("--data-dir=/flag --no-such-flag", "/flag"),
        ("-d /first -d /last", "/last"),
        ("--debug -d", "/configured"),
    ],
)
def test_the_data_directory(monkeypatch: pytest.MonkeyPatch, arguments: str, found: str) -> None:
    monkeypatch.setattr(configured, "data_dir", lambda: Path("/configured"))
    assert data_dir(arguments.split()) == Path(found)
