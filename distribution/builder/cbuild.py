"""C recipes: a static program, stripped, without anything that differs between two builds."""

from __future__ import annotations

from pathlib import Path

from distribution.builder import keys, processes
from distribution.builder.costs import Effort
from distribution.builder.recipes import Recipe
from distribution.builder.toolchain import Toolchain, inherited_environment

FLAGS = ("-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s")
LINK_FLAGS = ("-Wl,--build-id=none", "-Wl,--gc-sections")


def key(recipe: Recipe, toolchain: Toolchain) -> str:
    """Everything that decides what the build of `recipe` gives."""
    return keys.of(
        keys.of_tree(recipe.directory), str(toolchain.versions_of(recipe.apt)), *FLAGS, *LINK_FLAGS
    )


async def build(recipe: Recipe, output: Path) -> Effort:
    """Compile `recipe` into the directory `output`.

    Raises:
        BuildError: the compiler failed.
    """
    cpu_seconds = 0.0
    for binary in recipe.binaries:
        version = f'-DVERSION="{recipe.version}"'
        target = str(output / binary.name)
        command = ["gcc", *FLAGS, version, *LINK_FLAGS, "-o", target, *binary.sources]
        cpu_seconds += await processes.run(
            recipe.name, command, cwd=recipe.directory, env=inherited_environment()
        )
    return Effort(cpu_seconds)
