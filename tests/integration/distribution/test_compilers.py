"""Real compilers: what may become an artifact and what may not."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distribution.builder import components, gobuild, toolchain, verify
from distribution.builder.errors import BuildError, VerificationError
from distribution.builder.places import Places
from distribution.builder.recipes import Recipe, load
from distribution.builder.toolchain import Toolchain

RECIPE = """
name = "hash"
version = "v1.0.0"
purpose = "a program with cryptography"
license = "Apache-2.0"
module = "{module}"

[[binary]]
name = "hasher"
package = "rke2.io/distribution/hash"
"""
MODULE = "rke2.io/distribution/hash"
PROGRAM = """package main

import (
    "crypto/sha256"
    "fmt"
)

func main() { fmt.Printf("%x", sha256.Sum256(nil)) }
"""
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An empty store; the Go caches are the user's own, or each test would compile Go's library again."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    caches = Places.default()
    for name in ("go-mod", "go-build"):
        (caches.cache / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(caches.cache / name)
    return Places(tmp_path / "repository", tmp_path)


@pytest.fixture
def tools() -> Toolchain:
    return toolchain.find([])


@pytest.fixture
def recipe(places: Places) -> Callable[..., Recipe]:
    """Makes a recipe of a one-file Go module."""

    def make(program: str = PROGRAM, module: str = MODULE) -> Recipe:
        directory = places.components / "hash"
        directory.mkdir(parents=True)
        (directory / "recipe.toml").write_text(RECIPE.format(module=module))
        (directory / "go.mod").write_text(f"module {MODULE}\n\ngo 1.26\n")
        (directory / "main.go").write_text(program)
        return load(directory)

    return make


def build(recipe: Recipe, tools: Toolchain, places: Places) -> components.Component:
    wanted = components.component(recipe, tools, places)
    asyncio.run(components.build(wanted, tools, places, lambda _: None))
    return wanted


def test_a_go_program_becomes_a_verified_static_fips_artifact(
    recipe: Callable[..., Recipe], tools: Toolchain, places: Places
) -> None:
    built = build(recipe(), tools, places)
    output = subprocess.run([built.binary("hasher")], capture_output=True, text=True, check=True).stdout
    assert output == EMPTY_SHA256
    assert [module.path for module in built.modules("hasher")] == [MODULE, "stdlib"]


def test_two_builds_give_the_same_bytes(
    recipe: Callable[..., Recipe], tools: Toolchain, places: Places, tmp_path: Path
) -> None:
    made = recipe()
    first = build(made, tools, places).binary("hasher").read_bytes()
    moved = tmp_path / "elsewhere/hash"
    shutil.copytree(made.directory, moved)
    assert build(load(moved), tools, places).binary("hasher").read_bytes() == first


def test_another_cache_and_another_checkout_give_the_same_bytes(
    recipe: Callable[..., Recipe], tools: Toolchain, places: Places, tmp_path: Path
) -> None:
    """Even where a prepared library makes their paths part of the linker's flags."""
    made = recipe(program=CGO_PROGRAM)
    (made.directory / "prepare.sh").write_text(PREPARE)
    with (made.directory / "recipe.toml").open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write('prepare = "prepare.sh"\ncgo_ldflags = "-O2 -g -L${OUT}"\n' + text)
    first = build(load(made.directory), tools, places).binary("hasher")
    assert subprocess.run([first], capture_output=True, check=True).stdout == b"42"

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(made.directory, elsewhere / "hash")
    elsewhere_too = Places(elsewhere, elsewhere)
    for name in ("go-mod", "go-build"):
        (elsewhere / name).symlink_to(places.cache / name)
    second = build(load(elsewhere / "hash"), tools, elsewhere_too).binary("hasher")
    assert second.read_bytes() == first.read_bytes()


CGO_PROGRAM = """package main

// #cgo LDFLAGS: -lanswer
// int answer(void);
import "C"
import "fmt"

func main() { fmt.Print(C.answer()) }
"""
PREPARE = """set -e
echo 'int answer(void) { return 42; }' | gcc -O2 -c -x c - -o "$OUT/answer.o"
ar rcs "$OUT/libanswer.a" "$OUT/answer.o"
"""


def test_an_unpinned_module_leaves_no_artifact(
    recipe: Callable[..., Recipe], tools: Toolchain, places: Places
) -> None:
    made = recipe(module="example.com/other")
    with pytest.raises(VerificationError, match=r"hasher: built from example.com/other \(absent\)"):
        build(made, tools, places)
    assert list(places.artifacts.iterdir()) == []


def test_a_failed_build_names_the_component_and_shows_the_compiler(
    recipe: Callable[..., Recipe], tools: Toolchain, places: Places
) -> None:
    made = recipe(program=PROGRAM.replace("Printf", "Printx"))
    with pytest.raises(BuildError, match=r"(?s)^hash: `go` ended with code 1\n.*undefined: fmt.Printx"):
        build(made, tools, places)
    assert list(places.artifacts.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "flags", "message"),
    [
        (
            {"GOEXPERIMENT": ""},
            (*gobuild.LDFLAGS, *gobuild.STATIC),
            "not FIPS: built without the Go experiment",
        ),
        ({"GOEXPERIMENT": "boringcrypto", "CGO_ENABLED": "0"}, ("-s", "-w"), "not FIPS"),
        ({"CGO_ENABLED": "1"}, ("-s", "-w", "-linkmode=external"), "not static"),
    ],
)
def test_other_ways_to_compile_it_are_refused(
    recipe: Callable[..., Recipe],
    tools: Toolchain,
    places: Places,
    tmp_path: Path,
    changed: dict[str, str],
    flags: tuple[str, ...],
    message: str,
) -> None:
    made = recipe()
    target = tmp_path / "hasher"
    environment = toolchain.go_environment(tools, places) | changed
    command = ["go", "build", "-tags", "netgo,osusergo", "-ldflags", " ".join(flags), "-o", str(target), "."]
    subprocess.run(command, cwd=made.directory, env=environment, check=True)
    with pytest.raises(VerificationError, match=message):
        verify.verify(made, made.binaries[0], target)


@pytest.fixture
def pause(places: Places, tools: Toolchain) -> Path:
    recipe = load(Places.default().components / "pause")
    return build(recipe, tools, places).binary("pause")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pause_waits_until_it_is_told_to_end(pause: Path, number: signal.Signals) -> None:
    with subprocess.Popen([pause]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.send_signal(number)
        assert process.wait(5) == 0


@pytest.mark.root
def test_pause_reaps_orphans_as_the_first_process_and_heeds_sigterm(pause: Path) -> None:
    """The kernel gives it the orphan of a shell; once that ends it must be gone, not a zombie."""
    if os.geteuid() != 0:
        pytest.skip("needs root for a PID namespace")
    script = 'sh -c "sleep 1 &"; exec "$0"'
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", script, pause]
    ) as process:
        (first,) = _children_when(process.pid, 1)
        _children_when(first, 1)
        _children_when(first, 0)
        os.kill(first, signal.SIGTERM)
        assert process.wait(5) == 0


def _children_when(pid: int, count: int) -> list[int]:
    """The children of `pid` as soon as there are `count`; zombies count."""
    deadline = time.monotonic() + 10
    while len(found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return [int(child) for child in found]
