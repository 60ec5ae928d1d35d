"""A program that has been made movable is what the linker made of it, and runs from wherever it is."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest

from distribution.builder.errors import BuildError
from distribution.builder.onefile.movable import LOADER_MARK, LOADER_SPACE, Segment, make_movable, segments
from tests.integration.onefile.conftest import FILE, make_root

_LOADER = Path("/lib64/ld-linux-x86-64.so.2")
_LOAD, _DYNAMIC, _WRITE = 1, 2, 2
_PAGE = 4096

# What is not initialised has to be zero, and more can be allocated: the kernel puts that behind the last segment.
_PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int said(void);
static char zero[300000];
__thread int mine = 7;
int main(void) {
    for (size_t at = 0; at < sizeof zero; at++) if (zero[at]) return 1;
    char *more = malloc(100000);
    memset(more, 1, 100000);
    printf("%d %d\\n", said(), mine);
    return 0;
}
"""
_KINDS = [("-no-pie",), ("-fPIE", "-pie"), ("-no-pie", "-Wl,-z,pack-relative-relocs")]


@pytest.fixture(params=_KINDS, ids=["fixed addresses", "any address", "packed relocations"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A program in ``bin``, linked to a library in ``lib``."""
    for name, source in (("said.c", "int said(void) { return 42; }\n"), ("program.c", _PROGRAM)):
        (tmp_path / name).write_text(source)
    for name in ("bin", "lib"):
        (tmp_path / name).mkdir()
    _compile(tmp_path, "-shared", "-fPIC", "-o", "lib/libsaid.so", "said.c")
    _compile(tmp_path, *request.param, "-o", "bin/program", "program.c", "-Llib", "-lsaid")
    return tmp_path / "bin/program"


def test_it_runs_with_the_loader_that_is_told_later(program: Path) -> None:
    make_movable(program)
    through_loader = subprocess.run([_LOADER, program], capture_output=True, text=True, check=False)
    assert (through_loader.returncode, through_loader.stdout) == (0, "42 7\n"), through_loader.stderr
    _name_loader(program)
    for place in ("", "elsewhere"):
        moved = program.parents[1] / place / "bin/program"
        if place:
            moved.parents[1].mkdir()
            for name in ("bin", "lib"):
                (program.parents[1] / name).rename(moved.parents[1] / name)
        done = subprocess.run([moved], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "42 7\n"), done.stderr


def test_nothing_that_the_linker_laid_out_moves(program: Path) -> None:
    before = segments(program.read_bytes())
    make_movable(program)
    after = segments(program.read_bytes())
    assert _loaded(after)[:-1] == _loaded(before)
    assert len(after) == len(before)
    _check_layout(after)


def test_the_librarys_place_comes_before_what_the_environment_says(program: Path) -> None:
    make_movable(program)
    _name_loader(program)
    odd = program.parents[1] / "odd"
    odd.mkdir()
    (odd / "libsaid.so").write_text("no library")
    done = subprocess.run(
        [program], env=os.environ | {"LD_LIBRARY_PATH": str(odd)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"42 7\n"), done.stderr


def test_a_program_without_a_loader_is_refused(program: Path) -> None:
    static = program.parents[1] / "static"
    _compile(program.parents[1], "-static", "-o", "static", "said.c", "-Wl,--defsym=main=said")
    with pytest.raises(BuildError, match="static cannot be made movable: it has no dynamic section"):
        make_movable(static)


@pytest.mark.root
@pytest.mark.content
def test_the_interpreter_in_the_file_is_laid_out_like_that(tmp_path: Path) -> None:
    root = make_root("musl", tmp_path / "root")
    root.rke2("--version")
    (name,) = root.unpacked()
    interpreter = root.below(f"/var/lib/rancher/rke2/data/{name}/bin/rke2")
    _check_layout(segments(interpreter.read_bytes()))
    assert FILE.exists()


def _check_layout(found: list[Segment]) -> None:
    """No page is loaded twice, and the loader can write into the dynamic section."""
    loaded = _loaded(found)
    for one, next_one in itertools.pairwise(loaded):
        assert one.address + one.memory <= next_one.address // _PAGE * _PAGE
    (dynamic,) = (segment for segment in found if segment.kind == _DYNAMIC)
    (around,) = (one for one in loaded if one.address <= dynamic.address < one.address + one.memory)
    assert around.flags & _WRITE


def _loaded(found: list[Segment]) -> list[Segment]:
    return [segment for segment in found if segment.kind == _LOAD]


def _name_loader(program: Path) -> None:
    """As the entry program does it."""
    content = program.read_bytes()
    at = content.index(LOADER_MARK.encode())
    space = str(_LOADER).encode().ljust(LOADER_SPACE, b"\0")
    program.write_bytes(content[:at] + space + content[at + LOADER_SPACE :])


def _compile(directory: Path, *arguments: str) -> None:
    subprocess.run(["gcc", "-O1", *arguments], cwd=directory, check=True)
