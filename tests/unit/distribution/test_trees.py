from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.builder import gomodules, recipes, trees
from distribution.builder.errors import RecipeError

_TREE = """
[[tree]]
name = "etc"
files = "rootfs/etc"
without = ["test/*"]
add = "own"

[[tree.edit]]
file = "main.conf"
begin = "old {"
end = "# end"
by = "new.conf"
"""


@pytest.fixture
def directory(recipe_directory: Callable[[str], Path]) -> Path:
    """A recipe with a tree, and what it adds to it."""
    directory = recipe_directory("program")
    with (directory / "recipe.toml").open("a") as file:
        file.write(_TREE)
    (directory / "own").mkdir()
    (directory / "own/extra.lua").write_text("ours")
    (directory / "new.conf").write_text("new {}\n")
    return directory


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module as Go keeps it: read-only."""
    source = tmp_path / "module/rootfs/etc"
    (source / "test").mkdir(parents=True)
    (source / "main.conf").write_text("first\nold {\n  a\n}\n# end\nlast\n")
    (source / "main.conf").chmod(0o444)
    (source / "test/case.lua").write_text("test")
    monkeypatch.setattr(gomodules, "directory", lambda *_: tmp_path / "module")
    return source


def _written(directory: Path, target: Path) -> dict[str, str]:
    trees.write(recipes.load(directory), Path(), target)
    return {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}


def test_a_tree_is_upstreams_with_what_is_ours(directory: Path, tmp_path: Path) -> None:
    assert _written(directory, tmp_path / "out") == {
        "etc/main.conf": "first\nnew {}\n# end\nlast\n",
        "etc/extra.lua": "ours",
    }


def test_an_edit_may_stand_in_the_recipe_and_replace_its_beginning_alone(
    directory: Path, tmp_path: Path
) -> None:
    with (directory / "recipe.toml").open("a") as file:
        file.write('[[tree.edit]]\nfile = "main.conf"\nbegin = "last"\ntext = "end"\n')
    assert _written(directory, tmp_path / "out")["etc/main.conf"] == "first\nnew {}\n# end\nend\n"


@pytest.mark.parametrize("text", ["first\n# end\n", "old {\nlast\n", "old {\n# end\nold {\n# end\n"])
def test_an_edit_that_does_not_fit_any_more_stops_the_build(
    directory: Path, module: Path, tmp_path: Path, text: str
) -> None:
    (module / "main.conf").unlink()
    (module / "main.conf").write_text(text)
    with pytest.raises(RecipeError, match=r"`tree` 'etc': new\.conf does not fit main\.conf"):
        _written(directory, tmp_path / "out")


def test_a_directory_that_is_not_there_is_named(directory: Path, tmp_path: Path) -> None:
    recipe = directory / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("rootfs/etc", "rootfs/opt"))
    with pytest.raises(RecipeError, match=r"'rootfs/opt' is no directory of example\.com/program"):
        _written(directory, tmp_path / "out")
