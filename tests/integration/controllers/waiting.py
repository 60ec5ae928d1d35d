"""Waiting for what a controller will do, and running one meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from rke2.errors import EtcdError, KubeError

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], what: str, seconds: float = 60) -> T:
    """The first true answer of `look`; fails naming `what` if there is none in time."""
    answer: T | None = None
    try:
        async with asyncio.timeout(seconds):
            while not answer:
                with suppress(KubeError, EtcdError):
                    answer = await look()
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None
    assert answer
    return answer


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """`work` as a task, cancelled at the end; that it ended before fails the test."""
    task = asyncio.create_task(work)
    try:
        yield task
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
