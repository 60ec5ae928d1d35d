"""What the one file leaves out of Python's library, no module of rke2 imports: it would end there, and nowhere else."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
DROPPED = tomllib.loads((ROOT / "distribution/onefile/onefile.toml").read_text())["drop"]


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def left_out(module: str) -> bool:
    """Whether a module of Python's library is none of the one file's."""
    place = module.replace(".", "/")
    files = (f"{place}.py", f"{place}/__init__.py")
    known = module.partition(".")[0] in sys.stdlib_module_names
    return known and any(fnmatchcase(file, pattern) for file in files for pattern in DROPPED)


def test_what_is_left_out_is_known() -> None:
    assert left_out("statistics") and left_out("unittest.mock") and left_out("xml.dom.minidom")
    assert not left_out("logging") and not left_out("xml.etree.ElementTree")


def test_nothing_of_rke2_needs_what_is_left_out() -> None:
    found = {
        str(path.relative_to(ROOT)): missing
        for path in (ROOT / "src/rke2").rglob("*.py")
        if (missing := [name for name in imported(path.read_text()) if left_out(name)])
    }
    assert found == {}
