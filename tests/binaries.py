"""The real component binaries: from ``RKE2_TEST_BIN``, else from the built distribution."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DIRECTORY = Path(os.environ.get("RKE2_TEST_BIN") or Path(__file__).parent.parent / "build/dist/bin")


def binary(name: str) -> Path:
    """The program `name`; skips the test if the distribution is not built."""
    path = DIRECTORY / name
    if not path.is_file():
        pytest.skip(f"{path} is not built")
    return path
