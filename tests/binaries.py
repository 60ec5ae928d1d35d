"""What is built (``RKE2_TEST_CONTENT``, else `build/dist`) and its programs (``RKE2_TEST_BIN``, else those in it)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CONTENT = Path(os.environ.get("RKE2_TEST_CONTENT") or Path(__file__).parent.parent / "build/dist").resolve()
DIRECTORY = Path(os.environ.get("RKE2_TEST_BIN") or CONTENT / "bin")


def binary(name: str) -> Path:
    """The program `name`; skips the test if the distribution is not built."""
    path = DIRECTORY / name
    if not path.is_file():
        pytest.skip(f"{path} is not built")
    return path
