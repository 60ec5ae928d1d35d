"""Waiting for what a controller will do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

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
