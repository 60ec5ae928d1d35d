"""Where Go keeps the source of a pinned module."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from distribution.builder.errors import DistributionError


def directory(recipe: Path, module: str, gomodcache: Path) -> Path:
    """The source of `module` at the version pinned by the ``go.mod`` in `recipe`; fetched if it is missing.

    What is fetched is checked against ``go.sum`` beside it.

    Raises:
        DistributionError: Go cannot provide it.
    """
    own = {"GOMODCACHE": str(gomodcache), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    go = subprocess.run(
        ["go", "mod", "download", "-json", module],
        cwd=recipe,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(go.stdout or "{}")
    if go.returncode != 0 or "Dir" not in answer:
        reason = answer.get("Error") or go.stderr.strip()
        raise DistributionError(f"{recipe / 'go.mod'}: cannot get {module}: {reason}")
    return Path(answer["Dir"])
