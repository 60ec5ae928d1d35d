"""The supervisor asks itself as a stranger would, and is let in whoever else is there."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from rke2.supervisor import server as module
from rke2.supervisor.self_check import SelfCheck
from rke2.supervisor.unauthenticated import UnauthenticatedConnections
from tests.unit.supervisor.test_server import configured, supervisor


async def test_a_server_that_runs_answers_itself(tmp_path: Path) -> None:
    server = supervisor(configured(tmp_path))
    await server.start()
    try:
        assert await server.answers() == ""
    finally:
        await server.stop()
    assert await server.answers() != ""


async def test_no_number_of_others_keeps_it_from_answering_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = UnauthenticatedConnections(0, 0, 0)
    monkeypatch.setattr(module, "UnauthenticatedConnections", lambda **options: full)
    server = supervisor(configured(tmp_path))
    await server.start()
    try:
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=SelfCheck()._tls, server_hostname="x")
        assert await server.answers() == ""
        assert len(full) == 0
    finally:
        await server.stop()


async def test_a_port_that_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        await asyncio.wait_for(SelfCheck().ask("127.0.0.1", silent.getsockname()[1]), 0.2)


async def test_a_port_that_nobody_serves_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert await SelfCheck().ask("127.0.0.1", port) == f"Connect call failed ('127.0.0.1', {port})"


async def test_listeners_that_are_opened_again_answer_on_the_same_port(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    server = supervisor(configured(tmp_path), report=lambda name, status: told.append((name, status.state)))
    await server.start()
    try:
        port = server.port
        assert await server.answers() == ""
        await server.reopen("no answer")
        async with asyncio.timeout(10):
            while (f"supervisor: 127.0.0.1 port {port}", "failing") not in told or await server.answers():
                await asyncio.sleep(0.02)
    finally:
        await server.stop()
