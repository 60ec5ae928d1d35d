"""Asks Go's YAML libraries what they make of a text."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent / "reader"
READERS = ("kubernetes", "v2", "v3")
BUILD_SECONDS = 900
EXACT = 2**53


@cache
def program() -> Path:
    """The program, built where it is not there yet; without a Go toolchain the test is skipped."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go toolchain, so Go's YAML readers cannot be asked")
    target = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rke2-tests/goyaml-reader"
    newest = max(file.stat().st_mtime for file in SOURCE.iterdir())
    if not target.exists() or target.stat().st_mtime < newest:
        made = target.with_name(f"{target.name}.{os.getpid()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([go, "build", "-o", made, "."], cwd=SOURCE, check=True, timeout=BUILD_SECONDS)
        made.replace(target)
    return target


def read(texts: Sequence[str]) -> list[dict[str, Any]]:
    """For each text what every reader makes of it: ``{"value": …, "error": …}``, by the reader's name."""
    done = subprocess.run(
        [program()], input=json.dumps(texts), capture_output=True, text=True, check=True, timeout=60
    )
    return list(from_json(done.stdout))


def from_json(text: str) -> Any:
    """JSON with large integers as the floats that Go's shortest digits stand for."""
    return json.loads(
        text, parse_int=lambda digits: int(digits) if abs(int(digits)) <= EXACT else float(digits)
    )
