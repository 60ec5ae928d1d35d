"""Small changes to texts of upstream: a template, a source file.

An edit that does not find its place stops the build: upstream changed what it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distribution.builder.errors import RecipeError
from distribution.builder.recipes import Edit


def apply(edits: Iterable[Edit], file: Path, directory: Path, where: str) -> None:
    """Change `file` in place.

    Args:
        directory: the recipe's; what an edit names in `by` is relative to it.
        where: what the message names as the place of the edits.

    Raises:
        RecipeError: an edit does not fit the file, or there is no such file.
    """
    for edit in edits:
        text = file.read_text() if file.is_file() else ""
        file.write_text(_edited(text, edit, file.name, directory, where))


def _edited(text: str, edit: Edit, name: str, directory: Path, where: str) -> str:
    begin = text.find(edit.begin)
    end = text.find(edit.end, begin + len(edit.begin))
    if begin < 0 or end < 0 or text.count(edit.begin) > 1:
        raise RecipeError(
            f"{where}: {edit.by or '`text`'} does not fit {name}: it has no single"
            f" {edit.begin!r} with {edit.end!r} after it"
        )
    replacement = (directory / edit.by).read_text() if edit.by else edit.text
    return text[:begin] + replacement + text[end:]
