from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from rke2.lifecycle.logfile import LogFile


@pytest.mark.parametrize("mode", [0o640, 0o600])
def test_old_logs_are_as_narrow_as_the_log(tmp_path: Path, mode: int) -> None:
    log = LogFile(tmp_path / "a.log", max_bytes=10)
    before = os.umask(0)
    try:
        for number in range(3):
            os.close(log.open())
            log.path.chmod(mode)
            log.path.write_text(f"secret number {number}\n")
            assert log.rotate_if_large()
    finally:
        os.umask(before)
    old = sorted(tmp_path.glob("*.gz"))
    assert {file.stat().st_mode & 0o777 for file in old} == {mode}
    assert [gzip.decompress(file.read_bytes())[-2:] for file in old] == [b"2\n", b"1\n", b"0\n"]
    assert log.path.stat().st_size == 0
