"""The same work for many things, a few of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from rke2.errors import first_error

T = TypeVar("T")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do `work` for every item, in their order; the first failure ends what is under way.

    Raises:
        Exception: what `work` raised first, not a group.
    """
    left = iter(items)

    async def take() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(at_once):
                workers.create_task(take())
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
