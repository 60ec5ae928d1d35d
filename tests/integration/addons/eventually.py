"""Waiting for what a controller will do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

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
