"""Ending a program that was started for one question."""

from __future__ import annotations

import asyncio


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill `process` if it still runs; returns when it is gone.

    asyncio's own `kill` raises `ProcessLookupError` once it knows of the end.
    """
    if process.returncode is None:
        process.kill()
        await process.wait()
