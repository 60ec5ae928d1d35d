"""Uploads cost a few buffers of memory, however many there are."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.s3.client import open_bucket
from rke2.s3.transfer import PART, upload
from tests.objectstore.gateway import Gateway, gateway

pytestmark = [pytest.mark.root, pytest.mark.long]

UPLOADS = 200
WARM = 20
LARGEST_RISE = 8 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path, last=5) as running:
        yield running


async def test_memory_is_flat_over_many_uploads(store: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(PART + 1))
    warm = 0
    for number in range(UPLOADS):
        if number == WARM:
            warm = resident()
        async with open_bucket(store.settings) as bucket:
            await upload(bucket, path, "k", content_type="application/octet-stream", metadata={})
    gc.collect()
    rise = resident() - warm
    print(f"resident memory after {WARM} uploads {warm >> 20} MiB, after {UPLOADS} {rise / 2**20:+.1f} MiB")
    assert rise < LARGEST_RISE


def resident() -> int:
    """This process' resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
