from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rke2.errors import AlreadyRunningError, HostError
from rke2.host.lock import exclusive, holder


def test_a_second_holder_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    path = tmp_path / "dd" / "rke2.lock"
    with exclusive(path):
        assert holder(path) == os.getpid()
        program = "\n".join(
            [
                "from pathlib import Path",
                "from rke2.host.lock import exclusive",
                f"with exclusive(Path({str(path)!r})): ...",
            ]
        )
        second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"pid {os.getpid()}" in second.stderr
    assert holder(path) is None
    with exclusive(path):
        pass


def test_same_process_twice(tmp_path: Path) -> None:
    with exclusive(tmp_path / "l"), pytest.raises(AlreadyRunningError), exclusive(tmp_path / "l"):
        pass


def test_asking_who_holds_it_never_stands_in_the_way(tmp_path: Path) -> None:
    path, done = tmp_path / "l", threading.Event()

    def ask() -> None:
        while not done.is_set():
            holder(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(500):
            with exclusive(path):
                pass
    finally:
        done.set()
        asking.join()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(HostError, match=r"data directory .*/file/dd cannot be used: .*File exists"),
        exclusive(tmp_path / "file" / "dd" / "l"),
    ):
        pass
