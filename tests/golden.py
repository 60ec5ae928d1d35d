"""Golden files: what the program generates, reviewed once and compared byte for byte.

``UPDATE_GOLDEN=1 pytest tests/contract`` writes them again; read the diff before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(path: Path, actual: str) -> None:
    """Compare `actual` with the file, or write the file if asked to."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(actual)
    assert actual == path.read_text(), f"differs from {path}; UPDATE_GOLDEN=1 accepts the new content"
