"""A small repository of components, images and charts, with everything already "compiled"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.builder.artifacts import Store, write_json
from distribution.builder.components import Component
from distribution.builder.images import Stock
from distribution.builder.recipes import load

RECIPE = """
name = "{name}"
version = "v1.2.3"
purpose = "for tests"
license = "Apache-2.0"
source = "https://example.com/{name}"
module = "example.com/{name}"

[[binary]]
name = "{name}"
package = "example.com/{name}/cmd/{name}"
"""

MakeComponent = Callable[[str, bytes], Component]


@pytest.fixture
def recipe_directory(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a recipe directory of the given name."""

    def make(name: str) -> Path:
        directory = tmp_path / "components" / name
        directory.mkdir(parents=True)
        (directory / "recipe.toml").write_text(RECIPE.format(name=name))
        return directory

    return make


@pytest.fixture
def built(tmp_path: Path, recipe_directory: Callable[[str], Path]) -> MakeComponent:
    """Makes a component with one binary of the given content, as if it had been compiled."""

    def make(name: str, content: bytes) -> Component:
        component = Component(load(recipe_directory(name)), "0" * 16, Store(tmp_path / "artifacts"))
        with component.store.create(name, component.key) as directory:
            (directory / "bin").mkdir()
            (directory / "bin" / name).write_bytes(content)
            modules = [{"path": f"example.com/{name}", "version": "v1.2.3", "checksum": "h1:abc="}]
            write_json(directory / "modules.json", {name: modules})
            write_json(directory / "libraries.json", {"libc6-dev": "2.36-9"})
        return component

    return make


@pytest.fixture
def stock(built: MakeComponent) -> Stock:
    """Two components, no bases, no charts."""
    return Stock({name: built(name, name.encode() * 1000) for name in ("alpha", "beta")}, {}, list)
