"""Single files of a dependency that are compiled in a version of our own.

Go refuses overlays of its module cache, and a ``replace`` needs a whole module: so the recipe is copied, the patched
modules beside it, and the copy's ``go.mod`` points to them by relative paths, which are the same on every machine.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from distribution.builder import edits, gomodules
from distribution.builder.errors import DistributionError, RecipeError
from distribution.builder.recipes import ABSENT, Patch, Recipe

_MODULES = "_modules"


def apply(recipe: Recipe, scratch: Path, environment: Mapping[str, str]) -> Path:
    """Where `recipe` is to be compiled: its own directory, or below `scratch` a copy with its patches.

    Args:
        environment: Go's; names the module cache.

    Raises:
        RecipeError: the file that a patch changes is not the one it was made for, or an edit does not fit.
        DistributionError: Go cannot provide a module.
    """
    if not recipe.patches:
        return recipe.directory
    copy = scratch / "patched"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(recipe.directory, copy)
    for patch in recipe.patches:
        _apply(recipe, patch, copy, environment)
    return copy


def _apply(recipe: Recipe, patch: Patch, copy: Path, environment: Mapping[str, str]) -> None:
    module = copy / _MODULES / patch.module
    if not module.exists():
        original = gomodules.directory(recipe.directory, patch.module, Path(environment["GOMODCACHE"]))
        shutil.copytree(original, module)
        _replace(copy, patch.module, environment)
    file = module / patch.file
    _refuse_other_original(recipe, patch, file)
    if patch.by:
        shutil.copy(recipe.directory / patch.by, file)
    else:
        file.chmod(0o644)  # Go's module cache is read-only
        edits.apply(patch.edits, file, recipe.directory, f"{recipe.directory / 'recipe.toml'}: `patch`")


def _refuse_other_original(recipe: Recipe, patch: Patch, file: Path) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ABSENT
    if found != patch.sha256:
        raise RecipeError(
            f"{recipe.directory / 'recipe.toml'}: {patch.by or '`edit`'} was made for another {patch.file} of"
            f" {patch.module}: its sha256 is {found}. See whether the patch is still needed, adapt it, then change"
            " `sha256`"
        )


def _replace(copy: Path, module: str, environment: Mapping[str, str]) -> None:
    command = ["go", "mod", "edit", f"-replace={module}=./{_MODULES}/{module}"]
    go = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if go.returncode != 0:
        raise DistributionError(f"{copy / 'go.mod'}: {go.stderr.strip()}")
