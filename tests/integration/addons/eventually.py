"""Waiting for what a controller will do, and running one meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], what: str, seconds: float = 20) -> T:
    """The first true answer of `look`; fails naming `what` if there is none in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await look()
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """`work` as a task, cancelled at the end; what it raises before that fails the test."""
    task = asyncio.create_task(work)
    try:
        yield task
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
