from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.builder import lines, recipes
from distribution.builder.errors import RecipeError

MakeDirectory = Callable[[str], Path]


def test_every_recipe_of_the_repository_is_valid() -> None:
    found = recipes.load_all(lines.sources().components)
    assert {"kubernetes", "etcd", "containerd", "runc", "pause"} <= found.keys()
    assert found["etcd"].expected_module(found["etcd"].binaries[1])[0] == "go.etcd.io/etcd/etcdctl/v3"


def test_own_modules_have_no_version(recipe_directory: MakeDirectory) -> None:
    path = recipe_directory("own") / "recipe.toml"
    path.write_text(
        path.read_text().replace('module = "example.com/own"', 'module = "rke2.io/distribution/own"')
    )
    recipe = recipes.load(path.parent)
    assert recipe.expected_module(recipe.binaries[0]) == ("rke2.io/distribution/own", "(devel)")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('license = "Apache-2.0"', "", "missing required field `license`"),
        ('license = "Apache-2.0"', 'licence = "x"', "unknown field `licence`"),
        ('version = "v1.2.3"', "version = 1", r"Expected `str`, got `int` - at `\$.version`"),
        ('version = "v1.2.3"', "version = ", "not valid TOML"),
        ('name = "some"\nv', 'name = "other"\nv', "`name` is 'other', the directory is 'some'"),
        ("package =", "packages =", r"unknown field `packages` - at `\$.binary\[0\]`"),
        ('package = "example.com/some/cmd/some"', "", "exactly one of `package` and `sources`"),
        ('module = "example.com/some"', "", "`module` is needed"),
    ],
)
def test_a_wrong_recipe_is_refused_by_file_and_key(
    recipe_directory: MakeDirectory, old: str, new: str, message: str
) -> None:
    path = recipe_directory("some") / "recipe.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(RecipeError, match=message) as caught:
        recipes.load(path.parent)
    assert str(path) in str(caught.value)
