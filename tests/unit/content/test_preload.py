"""Waiting for images: until each archive is imported or known to be unusable."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from rke2.content.image_store import ImageStore
from rke2.content.preload import Preload
from rke2.errors import ContentError
from tests.unit.content.archive_maker import image_members, layer, write_archive


class Store:
    """An image store whose imports wait for `go` and fail."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def digests(self) -> dict[str, str]:
        return {}

    async def import_archive(self, archive: Path) -> None:
        await self.go.wait()
        raise ContentError(f"{archive} is of another architecture")


async def test_nothing_to_import_is_soon_finished(tmp_path: Path) -> None:
    preload = Preload(cast(ImageStore, Store()), tmp_path)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(preload.finished())
        tasks.create_task(preload.run())


async def test_finished_waits_for_the_last_archive_and_for_no_good_end(tmp_path: Path) -> None:
    write_archive(tmp_path / "images.tar", image_members("registry.example/a:1", [layer({"f": b"x"})]))
    store = Store()
    preload = Preload(cast(ImageStore, store), tmp_path)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(preload.run())
        waiting = tasks.create_task(preload.finished())
        while not preload.pending("registry.example/a:1"):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        store.go.set()
    assert waiting.done()
