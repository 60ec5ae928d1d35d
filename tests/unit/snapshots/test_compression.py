"""Compressed snapshots come back whole, or are told to be damaged."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from rke2.errors import EtcdError
from rke2.snapshots import compression, receiving


def snapshot(folder: Path) -> tuple[Path, bytes]:
    content = bytes(range(256)) * 4096
    content += hashlib.sha256(content).digest()
    path = folder / "s-n-1"
    path.write_bytes(content)
    return path, content


@pytest.mark.parametrize("how", compression.FORMATS)
def test_what_is_packed_comes_back(tmp_path: Path, how: str) -> None:
    path, content = snapshot(tmp_path)
    packed = compression.compress(path, 1700000000, how)
    assert packed.name == f"s-n-1{compression.FORMATS[how][0]}" and not path.exists()
    assert packed.stat().st_mode & 0o777 == 0o600 and packed.stat().st_size < len(content) // 10
    compression.decompress(packed, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == content


def test_a_zstd_file_of_several_frames_is_read_to_its_end(tmp_path: Path) -> None:
    path, content = snapshot(tmp_path)
    first = compression.compress(path, 1, "zstd")
    frames = first.read_bytes()
    first.write_bytes(frames + frames)
    compression.decompress(first, tmp_path / "raw")
    assert (tmp_path / "raw").read_bytes() == content * 2


@pytest.mark.parametrize("how", compression.FORMATS)
def test_what_is_damaged_is_not_taken_for_a_snapshot(tmp_path: Path, how: str) -> None:
    path, _ = snapshot(tmp_path)
    packed = compression.compress(path, 1, how)
    good = packed.read_bytes()
    middle = len(good) // 2
    for damaged in (
        good[:middle],
        good[: middle - 1] + bytes([good[middle] ^ 255]) + good[middle:],
        b"",
        b"x" * 99,
    ):
        packed.write_bytes(damaged)
        with pytest.raises(EtcdError):
            compression.decompress(packed, tmp_path / "raw")
            receiving.check_file(tmp_path / "raw")


def test_the_zstd_program_reads_it(tmp_path: Path) -> None:
    path, content = snapshot(tmp_path)
    packed = compression.compress(path, 1, "zstd")
    done = subprocess.run(["zstd", "-dc", packed], capture_output=True, check=True)
    assert done.stdout == content
