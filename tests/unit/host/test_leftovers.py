from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.host.leftovers import end_leftovers

SLEEP = shutil.which("sleep") or ""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return Path(shutil.copy(SLEEP, tmp_path / "containerd"))


@pytest.fixture
def leftover(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([program, "600"]) as process:
        yield process
        process.kill()


def test_it_is_gone_afterwards(program: Path, leftover: subprocess.Popen[bytes]) -> None:
    end_leftovers([program])
    assert leftover.poll() == -signal.SIGKILL


def test_whatever_its_path_is_called_by_now(program: Path, leftover: subprocess.Popen[bytes]) -> None:
    link = program.with_name("link")
    link.symlink_to(program)
    end_leftovers([link])
    assert leftover.poll() == -signal.SIGKILL


def test_the_same_program_from_another_file_is_left_alone(program: Path, tmp_path: Path) -> None:
    twin = shutil.copy(SLEEP, tmp_path / "twin")
    with subprocess.Popen([twin, "600"]) as other:
        try:
            end_leftovers([program, tmp_path / "missing"])
            assert other.poll() is None
        finally:
            other.kill()
