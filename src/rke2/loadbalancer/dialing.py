"""The first server of a list that answers.

A server without power does not refuse, it says nothing, for as long as the kernel cares to ask. So a server that is
silent for `DialTiming.patience` gets company: the next one is asked too, and the first connection counts. The silent
one is not given up before that, because it may just be slow.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rke2.host import addresses
from rke2.loadbalancer.link import Side

log = logging.getLogger(__name__)

_NEXT_ADDRESS_OF_A_NAME = 0.25
"""Seconds until the next address of a host name is tried beside the one before (RFC 8305)."""

_PROBE_AFTER = 10
_DEAD_AFTER = 15
"""Seconds without an acknowledgement."""


@dataclass(frozen=True)
class DialTiming:
    """Seconds.

    Attributes:
        patience: until the next server is asked too. One lost SYN (sent again after 1 s) must fit in.
        limit: for one server; also how long a client waits if there is only one.
        pause: a client is held so long when no server answers, so that it does not come back at once.
        check: between two health checks.
    """

    patience: float = 2.0
    limit: float = 10.0
    pause: float = 1.0
    check: float = 1.0


@dataclass(frozen=True)
class DialAnswer:
    """What came of dialling.

    Attributes:
        address: of the server that answered, empty if none did.
        upstream: the connection to it.
        failed: the servers that refused, or had their time and stayed silent.
    """

    address: str
    upstream: Side | None
    failed: tuple[str, ...]


Dialled = Callable[[float, bool], None]
"""Told of each server that answered or did not: the seconds it took, and whether there is a connection."""


async def dial(
    candidates: Sequence[str], timing: DialTiming, dialled: Dialled = lambda seconds, connected: None
) -> DialAnswer:
    """Connect to the first of `candidates` that answers; `dialled` hears nothing of who lost the race."""
    attempts: dict[str, asyncio.Task[Side | None]] = {}
    kept = ""
    try:
        async with asyncio.TaskGroup() as group:
            winner, failed = await _race(group, attempts, candidates, timing, dialled)
            # Otherwise the group would wait for the slowest server, although the client could be served now.
            for attempt in attempts.values():
                attempt.cancel()
        # Not before the group has ended: a caller that is cancelled while it waits gets no connection; none may stay.
        kept = winner
    finally:
        for address, attempt in attempts.items():
            if address != kept and (side := _side(attempt)):
                side.abort()
    return DialAnswer(winner, _side(attempts[winner]) if winner else None, failed)


async def _race(
    group: asyncio.TaskGroup,
    attempts: dict[str, asyncio.Task[Side | None]],
    candidates: Sequence[str],
    timing: DialTiming,
    dialled: Dialled,
) -> tuple[str, tuple[str, ...]]:
    now = asyncio.get_running_loop().time
    waiting = list(candidates)
    overdue: dict[str, float] = {}
    winner = ""
    while not winner and (waiting or not all(attempt.done() for attempt in attempts.values())):
        if waiting:
            address = waiting.pop(0)
            attempts[address] = group.create_task(_timed(address, timing.limit, dialled))
            overdue[address] = now() + timing.patience
        # Never empty, which asyncio.wait refuses: one was added just now, or the loop condition has seen one.
        running = [attempt for attempt in attempts.values() if not attempt.done()]
        patience = timing.patience if waiting else None
        await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        winner = next((address for address, attempt in attempts.items() if _side(attempt)), "")
    # Who lost the race has not failed: the winner may just have been nearer. Silence counts once its time is over.
    losers = [address for address, attempt in attempts.items() if not _side(attempt)]
    failed = [each for each in losers if attempts[each].done() or now() >= overdue[each]]
    return winner, tuple(failed)


def _side(attempt: asyncio.Task[Side | None]) -> Side | None:
    # `result` cannot raise here: `_connect` ends with a side, with None or by cancellation.
    return attempt.result() if attempt.done() and not attempt.cancelled() else None


async def _timed(address: str, limit: float, dialled: Dialled) -> Side | None:
    began = time.monotonic()
    side = await _connect(address, limit)
    dialled(time.monotonic() - began, side is not None)
    return side


async def _connect(address: str, limit: float) -> Side | None:
    loop = asyncio.get_running_loop()
    try:
        host, port = addresses.split(address)
        async with asyncio.timeout(limit):
            transport, side = await loop.create_connection(
                Side, host, port, happy_eyeballs_delay=_NEXT_ADDRESS_OF_A_NAME
            )
            _detect_death(transport.get_extra_info("socket"))
    except (OSError, ValueError) as error:
        # Includes TimeoutError, and an entry of the list that is not host:port: it fails like a server.
        log.debug("server %s: %s", address, error or "no answer")
        return None
    return side


def _detect_death(connection: socket.socket) -> None:
    """Have the kernel end the connection when the server acknowledges nothing any more (tcp(7)).

    Idle connections are probed. As the limit holds for a closed window too, a server that reads nothing for so long
    is given up as well.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _DEAD_AFTER - _PROBE_AFTER)
    # Replaces the number of probes as the limit (tcp(7)). Keepalive alone would not bound data in flight.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER * 1000)
