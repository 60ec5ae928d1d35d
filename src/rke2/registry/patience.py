"""Asking several sources in turn, and again after a while if none could answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rke2.errors import RegistryError
from rke2.registry.connection import RegistryConnection

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class PullPatience:
    """How often all sources are asked, and the seconds in between.

    Args:
        rounds: how often.
        first: seconds after the first round; they double from there.
        longest: a source that wants to be left alone for longer is given up.
    """

    rounds: int = 5
    first: float = 1.0
    longest: float = 120.0

    def delay(self, number: int) -> float:
        """Seconds after round `number`, counted from 0, spread so that nodes do not march."""
        return float(self.first * 2**number * random.uniform(0.8, 1.0))


async def from_first(
    connections: Sequence[RegistryConnection],
    action: Callable[[RegistryConnection], Awaitable[T]],
    patience: PullPatience,
    say: Say,
) -> T:
    """What `action` returns for the first source it succeeds with.

    A source that refuses is not asked again; one that may recover is, after the others. So a dead mirror delays
    nothing as long as another source has the image.

    Args:
        say: gets the reason of a delay.

    Raises:
        RegistryError: none gave it; has the reason of each.
    """
    failed: dict[str, RegistryError] = {}
    left = list(connections)
    for number in range(patience.rounds):
        for connection in tuple(left):
            try:
                return await action(connection)
            except RegistryError as error:
                failed[connection.source.url] = error
                if not error.temporary or error.retry_after > patience.longest:
                    left.remove(connection)
        if not left or number == patience.rounds - 1:
            break
        waited_for = [failed[connection.source.url] for connection in left]
        delay = max(patience.delay(number), min(error.retry_after for error in waited_for))
        say(f"{waited_for[0].message}; next attempt in {delay:.0f} s")
        await asyncio.sleep(delay)
    raise _all_of(failed)


def _all_of(failed: Mapping[str, RegistryError]) -> RegistryError:
    if len(failed) == 1:
        return next(iter(failed.values()))
    remedies = dict.fromkeys(error.remedy for error in failed.values() if error.remedy)
    return RegistryError("; ".join(error.message for error in failed.values()), "; ".join(remedies))
