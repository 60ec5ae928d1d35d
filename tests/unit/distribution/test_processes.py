from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from distribution.builder import processes
from distribution.builder.errors import BuildError


async def run(script: str, cwd: Path) -> tuple[float, list[str]]:
    """CPU seconds and lines of a shell script."""
    lines: list[str] = []

    def follow(line: str) -> bool:
        lines.append(line)
        return line.startswith("progress")

    command = ["sh", "-c", script]
    return await processes.run("some", command, cwd=cwd, env=os.environ, is_progress=follow), lines


async def test_the_cpu_time_of_children_counts(tmp_path: Path) -> None:
    busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    idle, _ = await run("sleep 0.1; echo done", tmp_path)
    used, lines = await run(f"sh -c '{busy}'; echo done", tmp_path)
    assert lines == ["done"]
    assert idle < 0.05 < used


async def test_a_failure_shows_the_last_lines_that_are_no_progress(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"(?s)^some: `sh` ended with code 3\nbad\nworse$"):
        await run("echo bad; echo progress; echo worse >&2; exit 3", tmp_path)


async def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no-such-program is not installed"):
        await processes.run("some", ["no-such-program"], cwd=tmp_path, env=os.environ)


async def test_a_cancelled_task_takes_the_whole_group_with_it(tmp_path: Path) -> None:
    task = asyncio.create_task(run("sleep 60 & echo $! > child; wait", tmp_path))
    async with asyncio.timeout(10):
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    child = int((tmp_path / "child").read_text())
    async with asyncio.timeout(10):
        while _runs(child):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
