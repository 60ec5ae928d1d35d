"""Go recipes: one ``go build`` per component gives all its binaries, FIPS and static.

One call for all packages of a component, so that Go compiles what they share once and links side by side.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from string import Template

from distribution.builder import keys, patches, processes
from distribution.builder.costs import Effort
from distribution.builder.errors import RecipeError
from distribution.builder.places import Places
from distribution.builder.recipes import Recipe
from distribution.builder.toolchain import Toolchain, go_environment, inherited_environment

TAGS = ("netgo", "osusergo", "static_build")
# Go's build ID is a hash over all inputs, the place of our caches among them (CGO_LDFLAGS): without it the same
# sources give the same bytes on every machine.
LDFLAGS = ("-s", "-w", "-buildid=")
STATIC = ("-linkmode=external", "-extldflags=-static")
_MAJOR_VERSION = re.compile(r"v[0-9]+")
_IMPORT_PATH = re.compile(r"[^\s:#]+")


def key(recipe: Recipe, toolchain: Toolchain) -> str:
    """Everything that decides what the build of `recipe` gives."""
    return keys.of(
        keys.of_tree(recipe.directory),
        toolchain.go_version,
        str(toolchain.versions_of(recipe.apt)),
        *command(recipe, Path("OUT")),
    )


def command(recipe: Recipe, output: Path) -> list[str]:
    """The ``go build`` of `recipe` into the directory `output`."""
    return [
        "go",
        "build",
        "-v",
        "-mod=readonly",
        "-buildvcs=false",
        "-trimpath",
        "-tags",
        ",".join((*TAGS, *recipe.tags)),
        "-ldflags",
        " ".join((*LDFLAGS, *(STATIC if recipe.cgo else ()), *recipe.ldflags)),
        "-o",
        f"{output}/",
        *(binary.package for binary in recipe.binaries),
    ]


def default_name(package: str) -> str:
    """The file name Go gives the program of `package`: its last element that is not a major version."""
    last, *others = reversed(package.split("/"))
    return others[0] if _MAJOR_VERSION.fullmatch(last) and others else last


async def build(
    recipe: Recipe, toolchain: Toolchain, places: Places, output: Path, note: Callable[[str], None]
) -> Effort:
    """Compile `recipe` into the directory `output`, binaries named as the recipe names them.

    Args:
        note: told what happens at the moment, in a few words.

    Raises:
        BuildError: the preparation or the compiler failed.
        DistributionError: a patched module cannot be had.
        RecipeError: two packages give programs of the same default name, or a patch does not fit.
    """
    _refuse_name_clash(recipe)
    scratch = places.scratch / recipe.name
    environment = go_environment(toolchain, places) | _cgo_flags(recipe, scratch)
    if not recipe.cgo:
        environment["CGO_ENABLED"] = "0"
    cpu_seconds = await _prepare(recipe, scratch, note) if recipe.prepare else 0.0
    directory = await asyncio.to_thread(patches.apply, recipe, scratch, environment)
    follower = _Follower(note)
    cpu_seconds += await processes.run(
        recipe.name, command(recipe, output), cwd=directory, env=environment, is_progress=follower
    )
    for binary in recipe.binaries:
        (output / default_name(binary.package)).rename(output / binary.name)
    return Effort(cpu_seconds, follower.packages)


async def _prepare(recipe: Recipe, scratch: Path, note: Callable[[str], None]) -> float:
    note("preparing")
    scratch.mkdir(parents=True, exist_ok=True)
    environment = inherited_environment() | {"OUT": str(scratch)}
    script = recipe.directory / recipe.prepare
    return await processes.run(recipe.name, ["sh", str(script)], cwd=recipe.directory, env=environment)


def _cgo_flags(recipe: Recipe, scratch: Path) -> dict[str, str]:
    """Set only where the recipe asks: any change of them makes Go compile its own cgo packages again."""
    flags = {"CGO_CFLAGS": recipe.cgo_cflags, "CGO_LDFLAGS": recipe.cgo_ldflags}
    return {name: Template(value).safe_substitute(OUT=scratch) for name, value in flags.items() if value}


def _refuse_name_clash(recipe: Recipe) -> None:
    names = Counter(default_name(binary.package) for binary in recipe.binaries)
    clash = [name for name, count in names.items() if count > 1]
    if clash:
        raise RecipeError(f"{recipe.directory / 'recipe.toml'}: `binary`: two packages end in {clash[0]!r}")


class _Follower:
    """Turns the progress lines of ``go build -v`` into notes: modules it fetches, packages it compiles.

    The rest is what the compiler and the linker say. Go goes on with other packages after an error, so the
    error would not be among the last lines if these were kept.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._downloads = 0
        self.packages = 0

    def __call__(self, line: str) -> bool:
        if line.startswith("go: downloading "):
            self._downloads += 1
            self._note(f"{self._downloads} modules fetched: {line.split()[2]}")
            return True
        if _IMPORT_PATH.fullmatch(line):
            self.packages += 1
            self._note(f"{self.packages} packages compiled: {line}")
            return True
        return False
