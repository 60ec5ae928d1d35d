"""Recipes: one directory per component, ``recipe.toml`` beside the sources it pins.

A recipe of Go components carries its own ``go.mod`` and ``go.sum``, so the checksum database vouches for every
byte that is compiled.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from distribution.builder.errors import RecipeError

OWN_MODULES = "rke2.io/distribution/"
"""Import path prefix of the modules written here; Go knows their version as ``(devel)``."""


class Binary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One program of a component.

    Attributes:
        name: file name of the result.
        package: Go import path of its main package, or empty.
        sources: C files, relative to the recipe, or empty.
        module: the Go module that must be in the binary, where it differs from the recipe's.
        names: further names, for a program that acts by the one it is called by.
    """

    name: str
    package: str = ""
    sources: tuple[str, ...] = ()
    module: str = ""
    names: tuple[str, ...] = ()


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a text that is replaced: from `begin`, which must be there once, up to the next `end`; see `edits`.

    Attributes:
        end: stays; without it `begin` alone is replaced.
        by: the file whose content takes its place, relative to the recipe.
        text: the content itself, in place of `by`.
    """

    begin: str
    end: str = ""
    by: str = ""
    text: str = ""


class FileEdit(Edit, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An `Edit` of a file of a tree.

    Attributes:
        file: inside the tree.
    """

    file: str


ABSENT = "(absent)"
"""In place of a checksum: upstream has no such file."""


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a module that is compiled in a version of our own.

    Attributes:
        module: a Go module that the recipe's ``go.mod`` pins.
        file: the file inside it.
        sha256: that of the upstream file it was made for, or `ABSENT`: another one stops the build.
        by: what takes its place, relative to the recipe, in a directory that Go passes over (``_…``).
        edits: ``[[patch.edit]]`` tables, in this order: in place of `by`, where little of the file changes.
    """

    module: str
    file: str
    sha256: str
    by: str = ""
    edits: tuple[Edit, ...] = msgspec.field(name="edit", default=())


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory of a module that a program runs with; see `trees`.

    Attributes:
        files: the directory inside the module.
        module: if not the recipe's: another one that its ``go.mod`` pins.
        without: patterns of files left out (`fnmatch`; ``*`` crosses slashes).
        add: a directory of ours, relative to the recipe, laid over it.
        edits: ``[[tree.edit]]`` tables, in this order.
    """

    name: str
    files: str
    module: str = ""
    without: tuple[str, ...] = ()
    add: str = ""
    edits: tuple[FileEdit, ...] = msgspec.field(name="edit", default=())


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pinned component: what it is for, where it comes from, how it is compiled.

    Attributes:
        version: as operators know it; also the tag of images made from it.
        module: Go module that must be found in each binary, at `module_version` (default: `version`).
        apt: Debian packages the build needs beyond `prerequisites.COMMON`.
        prepare: a script run first, in the recipe's directory, with ``OUT`` naming a scratch directory.
        tags: Go build tags beyond the common ones.
        cgo_cflags, cgo_ldflags: may use ``${OUT}``.
        ldflags: Go linker flags beyond the common ones.
        cgo: whether C can be linked. Without it there is no BoringCrypto: only for what links no cryptography at all.
        binaries: ``[[binary]]`` tables.
        patches: ``[[patch]]`` tables; each has its decision in ``docs/adr``.
        trees: ``[[tree]]`` tables.
    """

    name: str
    version: str
    purpose: str
    license: str
    binaries: tuple[Binary, ...] = msgspec.field(name="binary")
    patches: tuple[Patch, ...] = msgspec.field(name="patch", default=())
    trees: tuple[Tree, ...] = msgspec.field(name="tree", default=())
    source: str = ""
    module: str = ""
    module_version: str = ""
    apt: tuple[str, ...] = ()
    prepare: str = ""
    tags: tuple[str, ...] = ()
    cgo_cflags: str = ""
    cgo_ldflags: str = ""
    ldflags: tuple[str, ...] = ()
    cgo: bool = True
    directory: Path = Path()

    @property
    def is_go(self) -> bool:
        """Whether Go compiles it (else: the C compiler)."""
        return all(binary.package for binary in self.binaries)

    def expected_module(self, binary: Binary) -> tuple[str, str]:
        """Module path and version that `binary` must have been built from."""
        module = binary.module or self.module
        own = module.startswith(OWN_MODULES)
        return module, "(devel)" if own else self.module_version or self.version


_Description = TypeVar("_Description", bound=msgspec.Struct)


def read_toml(path: Path, kind: type[_Description]) -> _Description:
    """Decode a description strictly.

    Raises:
        RecipeError: unreadable, not TOML, or a key is missing, unknown or of the wrong type.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), kind)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise RecipeError(f"{path}: {error}") from error


def load(directory: Path) -> Recipe:
    """The recipe in `directory`.

    Raises:
        RecipeError: naming file and key.
    """
    path = directory / "recipe.toml"
    recipe = msgspec.structs.replace(read_toml(path, Recipe), directory=directory)
    problem = _problem(recipe)
    if problem:
        raise RecipeError(f"{path}: {problem}")
    return recipe


def load_all(components: Path) -> dict[str, Recipe]:
    """Every recipe under `components`, by name."""
    found = [load(path.parent) for path in sorted(components.glob("*/recipe.toml"))]
    return {recipe.name: recipe for recipe in found}


def _problem(recipe: Recipe) -> str:
    if recipe.name != recipe.directory.name:
        return f"`name` is {recipe.name!r}, the directory is {recipe.directory.name!r}"
    if "${" in recipe.version:
        return f"`version` is {recipe.version!r}: read it where the sources of a line are laid out (`lines`)"
    if not recipe.binaries:
        return "`binary`: at least one is needed"
    for binary in recipe.binaries:
        if bool(binary.package) == bool(binary.sources):
            return f"`binary` {binary.name!r}: exactly one of `package` and `sources` is needed"
    if recipe.is_go and not recipe.module:
        return "`module` is needed for Go packages"
    if not recipe.is_go and any(binary.package for binary in recipe.binaries):
        return "`binary`: Go and C cannot be mixed in one recipe"
    return ""
