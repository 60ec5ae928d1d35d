"""Asking again: an object store that is away for a minute loses no snapshot."""

from __future__ import annotations

import logging
from asyncio import sleep
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from rke2.errors import S3Error

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0, 15.0)
"""Seconds between the attempts; together a minute and a half."""


async def patiently(attempt: Callable[[], Awaitable[T]], pauses: Sequence[float] = PAUSES) -> T:
    """What `attempt` returns, tried again after errors that may pass.

    Raises:
        S3Error: one that does not pass, or has not passed in time.
    """
    for number, pause in enumerate(pauses):
        try:
            return await attempt()
        except S3Error as error:
            if not error.temporary:
                raise
            # One line for the first, which is all that an operator needs to know while it goes on.
            level = logging.INFO if number else logging.WARNING
            log.log(level, "%s; it is tried again, in %.0f s", error.message, pause)
        await sleep(pause)
    return await attempt()
