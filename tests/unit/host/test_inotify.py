from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2.host.inotify import DirectoryWatch


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda d: (d / "new").write_text("x"), id="written"),
        pytest.param(lambda d: (d / "old").rename(d / "new"), id="renamed"),
        pytest.param(lambda d: (d / "old").unlink(), id="deleted"),
        pytest.param(lambda d: (d / "sub").mkdir(), id="directory made"),
        pytest.param(lambda d: (d / "link").symlink_to("old"), id="linked"),
    ],
)
async def test_changes_are_told(tmp_path: Path, change: Callable[[Path], object]) -> None:
    (tmp_path / "old").write_text("x")
    with DirectoryWatch() as watch:
        assert watch.watch([tmp_path])
        assert not watch.watch([tmp_path])
        change(tmp_path)
        async with asyncio.timeout(2):
            await watch.changed()


async def test_nothing_is_told_without_a_change(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    with DirectoryWatch() as watch:
        watch.watch([tmp_path, tmp_path / "gone"])
        (tmp_path / "old").read_text()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watch.changed()


async def test_a_directory_that_came_back_is_watched_again(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    with DirectoryWatch() as watch:
        watch.watch([directory])
        directory.rmdir()
        async with asyncio.timeout(2):
            await watch.changed()
        directory.mkdir()
        assert watch.watch([directory])
