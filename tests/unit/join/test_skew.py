"""A clock that is wrong is told as such, with by how much: from a real handshake and a real answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from rke2.errors import JoinError
from rke2.host.unreachable import reason_of
from rke2.join import skew
from rke2.join.transport import cluster_trust, send
from rke2.status.asking import ask, reason
from tests.untimely import untimely

HOURS = timedelta(hours=3, minutes=12)
YESTERDAY = timedelta(days=-2)


@pytest.mark.parametrize(
    ("begins", "ahead", "words"),
    [
        (
            HOURS - timedelta(hours=1),
            HOURS,
            "certificate is not yet valid; this machine's clock is 3h12m behind the server's",
        ),
        (YESTERDAY, YESTERDAY, "certificate has expired; this machine's clock is 2d0h ahead of the server's"),
        (
            YESTERDAY,
            timedelta(),
            "certificate has expired; this machine's clock and the server's agree: restart rke2",
        ),
    ],
)
async def test_a_joining_node_is_told_by_how_much(
    tmp_path: Path, begins: timedelta, ahead: timedelta, words: str
) -> None:
    with untimely(tmp_path, begins=begins, ahead=ahead) as server, pytest.raises(JoinError) as caught:
        await send("GET", f"{server.url}/cacerts", cluster_trust(server.bundle), seconds=5)
    assert words in caught.value.message


async def test_other_clients_name_the_clock(tmp_path: Path) -> None:
    words = "its certificate is not yet valid by this machine's clock: set the clock"
    with untimely(tmp_path, begins=HOURS, ahead=HOURS) as server:
        trust = cluster_trust(server.bundle)
        with pytest.raises(OSError, match="not yet valid") as asked:
            ask(f"{server.url}/readyz", trust)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError) as unreached:
                await session.get(server.url, ssl=trust)
    assert reason(asked.value) == words
    assert reason_of(unreached.value) == words


async def test_who_is_refused_for_something_else_is_not_told_of_clocks(tmp_path: Path) -> None:
    with (
        untimely(tmp_path, begins=timedelta(hours=-1), ahead=HOURS) as server,
        untimely(tmp_path, begins=timedelta(hours=-1), ahead=HOURS) as other,
        pytest.raises(JoinError, match="is not trusted") as caught,
    ):
        await send("GET", server.url, cluster_trust(other.bundle), seconds=5)
    assert "clock is" not in caught.value.message


async def test_a_server_that_does_not_say_is_not_waited_for() -> None:
    assert await skew.behind("https://127.0.0.1:1") is None
    assert skew.difference("no date", datetime.now(UTC)) is None
    assert skew.told(None) == ""
