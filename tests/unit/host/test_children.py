from __future__ import annotations

import asyncio
import sys

from rke2.host import children


async def _started(program: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program)


async def test_a_running_program_is_killed() -> None:
    process = await _started("import time; time.sleep(60)")
    await children.end(process)
    assert process.returncode == -9


async def test_one_that_has_ended_is_left_alone() -> None:
    process = await _started("raise SystemExit(3)")
    await process.wait()
    await children.end(process)
    assert process.returncode == 3
