"""Programs of other versions go when nothing runs from them; one that was moved is unpacked again."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.integration.onefile.conftest import DATA, FILE, RKE2, Root

pytestmark = [pytest.mark.root, pytest.mark.content]

_HASH = 32
"""Bytes at the end of the file, which name the directory."""


def other_version(path: Path) -> None:
    """The same program under another hash."""
    content = bytearray(FILE.read_bytes())
    content[-_HASH] ^= 0xFF
    path.write_bytes(content)
    path.chmod(0o755)


def test_an_old_one_goes_when_the_new_one_is_unpacked(root: Root) -> None:
    root.rke2("--version")
    (old,) = root.unpacked()
    other_version(root.below(RKE2))
    assert root.rke2("--version").returncode == 0
    (new,) = root.unpacked()
    assert new != old


def test_an_old_one_stays_as_long_as_a_start_holds_it(root: Root) -> None:
    root.rke2("--version")
    (old,) = root.unpacked()
    other_version(root.below(RKE2))
    held = os.open(root.below(f"{DATA}/{old}"), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)  # as every start does, until its end
        root.rke2("--version")
        assert len(root.unpacked()) == 2
    finally:
        os.close(held)
    root.rke2("server", "--no-such-flag")
    assert old not in root.unpacked()


def test_who_locks_an_unpacked_program_keeps_nobody_from_starting(root: Root) -> None:
    root.rke2("--version")
    (name,) = root.unpacked()
    held = os.open(root.below(f"{DATA}/{name}"), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # any user may
        assert root.rke2("--version").returncode == 0
    finally:
        os.close(held)


def test_an_old_one_stays_as_long_as_a_process_runs_from_it(root: Root) -> None:
    root.rke2("--version")
    (old,) = root.unpacked()
    other_version(root.below("/new"))
    runs = f"{DATA}/{old}/bin/rke2 -IS -c 'import sys; print(1, flush=True); sys.stdin.read()'"
    done = root.run(
        "sh",
        "-c",
        f"""mkfifo /go /said
        {runs} </go >/said & exec 8>/go; read started </said
        /new --version >&2; ls {DATA}
        exec 8>&-; wait
        /new server --no-such-flag >/dev/null 2>&1; echo then; ls {DATA}""",
    )
    before, _, after = done.stdout.partition("then\n")
    assert old in before.split(), done.stderr
    assert len(before.split()) == 2
    assert len(after.split()) == 1
    assert old not in after.split()


def test_a_data_directory_that_was_moved_is_no_obstacle(root: Root) -> None:
    root.rke2("--version")
    shutil.move(root.below("/var/lib/rancher/rke2"), root.below("/moved"))
    done = root.rke2("status", "--data-dir", "/moved")
    assert "cannot start" not in done.stderr
    assert "rke2" in done.stdout + done.stderr
    (name,) = root.unpacked("/moved/data")
    interpreter = root.below(f"/moved/data/{name}/bin/rke2").read_bytes()
    assert b"/moved/data/" in interpreter


def test_nothing_of_the_lock_reaches_what_it_becomes(root: Root) -> None:
    bin_directory = root.below("/var/lib/rancher/rke2/bin")
    bin_directory.mkdir(parents=True)
    program = bin_directory / "kubectl"
    program.write_text("#!/bin/sh\nls -l /proc/self/fd; env\n")
    program.chmod(0o755)
    done = root.rke2("kubectl", "version", "--client")
    assert done.returncode == 0, done.stderr
    assert "/program-" not in done.stdout
    assert "LD_LIBRARY_PATH" not in done.stdout
    assert "PYTHON" not in done.stdout
