"""Directories out of pinned Go modules that a program runs with: configuration, scripts, sources it compiles.

A recipe lists them as ``[[tree]]``; they become part of the component's artifact, ``trees/<name>/``, and of an image by
``[[file]] tree = "<component>/<name>"``.
"""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from distribution.builder import edits, gomodules
from distribution.builder.errors import RecipeError
from distribution.builder.recipes import Recipe, Tree


def write(recipe: Recipe, gomodcache: Path, target: Path) -> None:
    """Write every tree of `recipe` into the directory `target`.

    Raises:
        RecipeError: a path does not exist, or an edit does not fit.
        DistributionError: Go cannot provide the module.
    """
    for tree in recipe.trees:
        module = tree.module or recipe.module
        source = gomodules.directory(recipe.directory, module, gomodcache) / tree.files
        if not source.is_dir():
            raise RecipeError(f"{_at(recipe, tree)}: {tree.files!r} is no directory of {module}")
        _copy(_chosen(source, tree.without), target / tree.name)
        if tree.add:
            _copy(_chosen(recipe.directory / tree.add, ()), target / tree.name)
        for edit in tree.edits:
            edits.apply([edit], target / tree.name / edit.file, recipe.directory, _at(recipe, tree))


def _chosen(source: Path, without: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """The files below `source` and their paths relative to it, but those that match a pattern of `without`."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and not any(fnmatch.fnmatchcase(str(relative), pattern) for pattern in without):
            yield path, relative


def _copy(files: Iterable[tuple[Path, Path]], target: Path) -> None:
    for path, relative in files:
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / relative)  # not its mode: the module cache is read-only


def _at(recipe: Recipe, tree: Tree) -> str:
    return f"{recipe.directory / 'recipe.toml'}: `tree` {tree.name!r}"
