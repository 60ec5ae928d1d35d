"""Guessing secrets over the wire is slow, and slows down nobody else."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.supervisor.harness import NODE, SERVER, Supervisor, basic, supervisor

LATE = 1.0
"""Seconds that the answers here wait at most."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path, slowest=LATE) as found:
        delay(found, LATE)
        yield found


def delay(running: Supervisor, seconds: float) -> None:
    """From the fourth failure on."""
    late = lambda earlier: seconds if earlier >= 3 else 0.0  # noqa: E731
    running.server._failed_logins._delay = late  # type: ignore[method-assign]


def timed(running: Supervisor, user: str = "", **more: object) -> tuple[int, float]:
    begin = time.monotonic()
    status = running.ask("GET", "/v1-rke2/config", user, **more).status  # type: ignore[arg-type]
    return status, time.monotonic() - begin


def fail(running: Supervisor, times: int = 3) -> None:
    for number in range(times):
        assert timed(running, f"node:guess {number}")[0] == 401


def test_after_a_few_failures_answers_are_late(running: Supervisor) -> None:
    fail(running)
    for user in ("node:wrong", "server:wrong", "somebody:wrong"):
        status, seconds = timed(running, user)
        assert status == 401
        assert seconds >= LATE


def guess(running: Supervisor) -> ssl.SSLSocket:
    """A wrong password whose answer is not waited for."""
    connection = running.connect()
    request = f"GET /v1-rke2/config HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('node:wrong')}\r\n\r\n"
    connection.sendall(request.encode())
    connection.setblocking(False)
    return connection


def test_who_is_right_is_answered_at_once_meanwhile(running: Supervisor) -> None:
    """From the same address, whatever credentials; and the loop goes on."""
    delay(running, 600.0)
    fail(running)
    guesses = [guess(running) for _ in range(5)]
    running.run(until_failed(running, 3 + 5))
    kubelet = running.config.paths.agent / "client-kubelet"
    assert timed(running, NODE)[0] == 200
    assert timed(running, stem=kubelet)[0] == 200
    assert timed(running, "node:wrong", stem=kubelet)[0] == 200
    assert running.ask("GET", "/v1-rke2/server-bootstrap", SERVER).status == 400
    assert running.ask("GET", "/ping").status == 200
    for connection in guesses:
        with pytest.raises(ssl.SSLWantReadError):
            connection.recv(1)
        connection.close()


def test_who_does_not_wait_keeps_a_place_all_the_same(running: Supervisor) -> None:
    delay(running, 600.0)
    fail(running)
    connection = guess(running)
    running.run(until_failed(running, 4))
    connection.close()
    running.run(until_disconnected(running))
    assert len(running.server._unauthenticated) == 1


async def until_disconnected(running: Supervisor) -> None:
    assert running.server._http
    async with asyncio.timeout(25):
        while any(connection.transport for connection in running.server._http.connections):
            await asyncio.sleep(0.01)


async def until_failed(running: Supervisor, count: int) -> None:
    async with asyncio.timeout(25):
        while sum(each.count for each in running.server._failed_logins._of.values()) < count:
            await asyncio.sleep(0.01)


def test_bootstrap_tokens_count_when_they_can_be_looked_up(running: Supervisor) -> None:
    bearer = {"Authorization": "Bearer abcdef.0123456789abcdef"}
    for _ in range(5):
        assert timed(running, headers=bearer)[0] == 401
    assert len(running.server._failed_logins) == 0
    running.become_ready()
    for _ in range(3):
        assert timed(running, headers=bearer)[0] == 401
    status, seconds = timed(running, headers=bearer)
    assert status == 401
    assert seconds >= LATE


def test_no_credentials_are_no_guess(running: Supervisor) -> None:
    for _ in range(5):
        assert timed(running)[0] == 403
    assert len(running.server._failed_logins) == 0
