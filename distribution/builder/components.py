"""A component from recipe to verified artifact.

::

    artifacts/<name>-<key>/bin/             the programs
                           trees/           directories of modules that the programs run with
                           modules.json     program -> Go modules it was linked from, Go's own library among them
                           libraries.json   Debian package -> version, of the static libraries linked into them
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distribution.builder import cbuild, gobuild, keys, trees, verify
from distribution.builder.artifacts import Store, write_json
from distribution.builder.costs import Effort
from distribution.builder.places import Places
from distribution.builder.recipes import Recipe
from distribution.builder.toolchain import Toolchain
from distribution.builder.verify import Module

_TREES = "trees"
_MODULES, _LIBRARIES = "modules.json", "libraries.json"
_COMPILERS = ("gcc",)


@dataclass(frozen=True)
class Component:
    """A recipe and the key of what it gives on this machine."""

    recipe: Recipe
    key: str
    store: Store

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def directory(self) -> Path:
        return self.store.path(self.name, self.key)

    @property
    def is_built(self) -> bool:
        return self.store.has(self.name, self.key)

    def binary(self, name: str) -> Path:
        """The path of one of its binaries."""
        return self.directory / "bin" / name

    def tree(self, name: str) -> Path:
        """The path of one of its trees."""
        return self.directory / _TREES / name

    def modules(self, binary: str) -> list[Module]:
        """The Go modules that `binary` was linked from, the main one first; none for C."""
        found = json.loads((self.directory / _MODULES).read_text())
        return [Module(**fields) for fields in found[binary]]

    def libraries(self) -> dict[str, str]:
        """The Debian packages whose static libraries may be in its binaries, with their versions."""
        found: dict[str, str] = json.loads((self.directory / _LIBRARIES).read_text())
        return found


def component(recipe: Recipe, toolchain: Toolchain, places: Places) -> Component:
    """`recipe` with its content key."""
    inputs = gobuild.key(recipe, toolchain) if recipe.is_go else cbuild.key(recipe, toolchain)
    key = keys.of(inputs, Path(__file__).read_bytes(), Path(verify.__file__).read_bytes())
    return Component(recipe, key, Store(places.artifacts))


async def build(
    wanted: Component, toolchain: Toolchain, places: Places, note: Callable[[str], None]
) -> Effort:
    """Compile and verify; what is not verified never becomes an artifact.

    Raises:
        BuildError: the compiler failed.
        RecipeError: a patch or a tree does not fit its module.
        VerificationError: a binary is not FIPS, not static or not from the pinned module.
    """
    with wanted.store.create(wanted.name, wanted.key) as directory:
        output = directory / "bin"
        output.mkdir()
        if wanted.recipe.is_go:
            effort = await gobuild.build(wanted.recipe, toolchain, places, output, note)
        else:
            effort = await cbuild.build(wanted.recipe, output)
        await asyncio.to_thread(trees.write, wanted.recipe, places.go_mod, directory / _TREES)
        note("verifying")
        write_json(directory / _MODULES, await asyncio.to_thread(_verified, wanted.recipe, output))
        write_json(directory / _LIBRARIES, _linked_libraries(wanted.recipe, toolchain))
    return effort


def _verified(recipe: Recipe, output: Path) -> dict[str, list[dict[str, str]]]:
    modules = {}
    for binary in recipe.binaries:
        info = verify.verify(recipe, binary, output / binary.name)
        modules[binary.name] = [dataclasses.asdict(module) for module in info.all_modules] if info else []
    return modules


def _linked_libraries(recipe: Recipe, toolchain: Toolchain) -> dict[str, str]:
    versions = toolchain.versions_of(recipe.apt)
    return {name: version for name, version in versions.items() if name not in _COMPILERS}
