from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.builder import gomodules, patches, recipes, toolchain
from distribution.builder.errors import RecipeError
from distribution.builder.recipes import Recipe

_UPSTREAM = b"package some // upstream"
_OURS = b"package some // ours"
_PATCH = """
[[patch]]
module = "example.com/dep"
file = "some/file.go"
sha256 = "{sha256}"
by = "_patched/file.go"
"""


@pytest.fixture
def patched(recipe_directory: Callable[[str], Path]) -> Recipe:
    """A recipe with a patch for `_UPSTREAM`."""
    directory = recipe_directory("patched")
    with (directory / "recipe.toml").open("a") as file:
        file.write(_PATCH.format(sha256=hashlib.sha256(_UPSTREAM).hexdigest()))
    (directory / "go.mod").write_text("module example.com/own\n\nrequire example.com/dep v1.0.0\n")
    (directory / "_patched").mkdir()
    (directory / "_patched/file.go").write_bytes(_OURS)
    return recipes.load(directory)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module as Go keeps it."""
    directory = tmp_path / "dep@v1.0.0"
    (directory / "some").mkdir(parents=True)
    (directory / "some/file.go").write_bytes(_UPSTREAM)
    (directory / "some/other.go").write_bytes(_UPSTREAM)
    monkeypatch.setattr(gomodules, "directory", lambda *_: directory)
    return directory


def _apply(recipe: Recipe, scratch: Path) -> Path:
    return patches.apply(recipe, scratch, toolchain.inherited_environment() | {"GOMODCACHE": ""})


def test_a_recipe_without_patches_is_compiled_where_it_is(
    tmp_path: Path, recipe_directory: Callable[[str], Path]
) -> None:
    recipe = recipes.load(recipe_directory("plain"))
    assert _apply(recipe, tmp_path / "scratch") == recipe.directory


@pytest.mark.skipif(shutil.which("go") is None, reason="Go edits go.mod")
def test_one_file_of_the_module_is_ours(tmp_path: Path, patched: Recipe, module: Path) -> None:
    for _ in range(2):  # the second time over what the first one left
        copy = _apply(patched, tmp_path / "scratch")
        compiled = copy / "_modules/example.com/dep/some"
        assert (compiled / "file.go").read_bytes() == _OURS
        assert (compiled / "other.go").read_bytes() == _UPSTREAM
        go_mod = (copy / "go.mod").read_text()
        assert "replace example.com/dep => ./_modules/example.com/dep\n" in go_mod
    assert (module / "some/file.go").read_bytes() == _UPSTREAM
    assert "replace" not in (patched.directory / "go.mod").read_text()


@pytest.mark.skipif(shutil.which("go") is None, reason="Go edits go.mod")
@pytest.mark.parametrize("content", [b"package some // changed upstream", None])
def test_a_file_that_upstream_changed_stops_the_build(
    tmp_path: Path, patched: Recipe, module: Path, content: bytes | None
) -> None:
    (module / "some/file.go").unlink()
    if content is not None:
        (module / "some/file.go").write_bytes(content)
    with pytest.raises(RecipeError, match=r"_patched/file\.go was made for another some/file\.go"):
        _apply(patched, tmp_path / "scratch")


_EDITED = """
[[patch]]
module = "example.com/dep"
file = "some/other.go"
sha256 = "{sha256}"

[[patch.edit]]
begin = "// upstream"
text = "// edited"

[[patch]]
module = "example.com/dep"
file = "some/new.go"
sha256 = "(absent)"
by = "_patched/file.go"
"""


@pytest.mark.skipif(shutil.which("go") is None, reason="Go edits go.mod")
def test_a_file_is_edited_and_one_is_added(tmp_path: Path, patched: Recipe, module: Path) -> None:
    with (patched.directory / "recipe.toml").open("a") as file:
        file.write(_EDITED.format(sha256=hashlib.sha256(_UPSTREAM).hexdigest()))
    (module / "some/other.go").chmod(0o444)
    compiled = _apply(recipes.load(patched.directory), tmp_path / "scratch") / "_modules/example.com/dep/some"
    assert (compiled / "other.go").read_bytes() == b"package some // edited"
    assert (compiled / "new.go").read_bytes() == _OURS


@pytest.mark.skipif(shutil.which("go") is None, reason="Go edits go.mod")
def test_an_edit_without_its_place_stops_the_build(tmp_path: Path, patched: Recipe, module: Path) -> None:
    text = _EDITED.replace("// upstream", "// elsewhere").format(sha256=hashlib.sha256(_UPSTREAM).hexdigest())
    with (patched.directory / "recipe.toml").open("a") as file:
        file.write(text)
    with pytest.raises(RecipeError, match=r"`patch`: `text` does not fit other\.go"):
        _apply(recipes.load(patched.directory), tmp_path / "scratch")


@pytest.mark.skipif(shutil.which("go") is None, reason="Go edits go.mod")
def test_a_file_that_upstream_has_by_now_is_not_overwritten(
    tmp_path: Path, patched: Recipe, module: Path
) -> None:
    with (patched.directory / "recipe.toml").open("a") as file:
        file.write(_EDITED.format(sha256=hashlib.sha256(_UPSTREAM).hexdigest()))
    (module / "some/new.go").write_bytes(_UPSTREAM)
    with pytest.raises(RecipeError, match=r"was made for another some/new\.go"):
        _apply(recipes.load(patched.directory), tmp_path / "scratch")
