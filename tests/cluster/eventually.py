"""Waiting for something the cluster does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.25


def eventually(
    look: Callable[[], T],
    what: str,
    seconds: float = 60,
    ok: Callable[[T], object] = bool,
    poll: float = POLL_SECONDS,
) -> T:
    """The first answer of `look` that is `ok`.

    Args:
        look: asked again and again.
        what: is waited for, for the failure's message.
        seconds: limit, a generous one.
        ok: tells whether the answer is the one; its truth is what counts if not given.
        poll: seconds between two looks.

    Raises:
        AssertionError: not in time; tells the last answer.
    """
    deadline = time.monotonic() + seconds
    while not ok(answer := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; last seen: {answer!r}"
        time.sleep(poll)
    return answer
