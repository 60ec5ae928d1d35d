"""A public class has a name of its own: whoever reads or searches for one finds one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src"


def public_classes(source: str) -> list[str]:
    """The classes of a module that others may import."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def shared(classes: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Name -> the modules that define it, of names that several modules define; from module -> names."""
    modules = defaultdict(list)
    for module, names in classes.items():
        for name in names:
            modules[name].append(module)
    return {name: sorted(found) for name, found in sorted(modules.items()) if len(found) > 1}


def test_a_name_of_two_modules_is_found() -> None:
    found = {
        "a": public_classes("class Node: ...\nclass _Own: ...\n"),
        "b": public_classes("class Node: ..."),
    }
    assert shared(found | {"c": public_classes("class _Own: ...\nclass Other: ...")}) == {"Node": ["a", "b"]}


def test_public_classes_have_names_of_their_own() -> None:
    paths = sorted(ROOT.rglob("*.py"))
    assert len(paths) > 300
    assert shared({str(path.relative_to(ROOT)): public_classes(path.read_text()) for path in paths}) == {}
