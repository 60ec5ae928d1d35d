"""The programs written here pass their own tests."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from distribution.builder import gobuild, lines, recipes, toolchain
from distribution.builder.places import Places
from distribution.builder.recipes import Recipe

OWN = [
    recipe
    for recipe in recipes.load_all(lines.sources().components).values()
    if recipe.is_go and list(recipe.directory.rglob("*_test.go"))
]


@pytest.mark.long
@pytest.mark.parametrize("recipe", OWN, ids=lambda recipe: recipe.name)
def test_go_test(recipe: Recipe) -> None:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    environment = toolchain.go_environment(toolchain.find([]), Places.default())
    # As the builder compiles, so that its cache holds Go's library already.
    command = ["go", "test", "-count=1", "-trimpath", "-tags", ",".join(gobuild.TAGS), "./..."]
    done = subprocess.run(
        command, cwd=recipe.directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
