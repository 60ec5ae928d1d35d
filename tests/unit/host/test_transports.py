"""Connections are ended, whatever was done to them before."""

from __future__ import annotations

import asyncio
import socket
from asyncio import selector_events
from collections.abc import Callable
from typing import Any

import pytest

from rke2.host.transports import abort, pause_at_the_start


class ClosedTwice(asyncio.WriteTransport):
    """A TLS transport of Python 3.11.2 after its second `close`."""

    _ssl_protocol = None

    def abort(self) -> None:
        raise AttributeError("'NoneType' object has no attribute '_abort'")


def test_one_that_was_closed_twice_is_left_alone() -> None:
    abort(ClosedTwice())
    abort(None)


async def test_one_that_is_open_ends_at_once() -> None:
    here, there = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=here)
    writer.write(b"x" * 10_000_000)  # more than the peer takes: closing would wait for it
    abort(writer.transport)
    await asyncio.sleep(0)
    assert writer.transport.is_closing()
    there.settimeout(5)
    while there.recv(1 << 20):
        pass
    there.close()


class Held(asyncio.Protocol):
    """Reads nothing until it is told to."""

    def __init__(self) -> None:
        self.got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        pause_at_the_start(transport)

    def data_received(self, data: bytes) -> None:
        self.got += data


def begin_to_read(transport: Any, fd: int, callback: Callable[[], None]) -> None:
    """``_SelectorTransport._add_reader`` of Python 3.11.2."""
    if not transport.is_closing():
        transport._loop._add_reader(fd, callback)


@pytest.mark.parametrize("early", [False, True], ids=["this Python", "Python 3.11.2"])
async def test_nothing_is_read_from_a_new_connection_before_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    if early:
        monkeypatch.setattr(selector_events._SelectorTransport, "_add_reader", begin_to_read)  # type: ignore[attr-defined]
    here, there = socket.socketpair()
    there.sendall(b"hello")
    _, held = await asyncio.get_running_loop().create_connection(Held, sock=here)
    await asyncio.sleep(0.05)
    assert held.got == b""
    held.transport.resume_reading()
    await asyncio.sleep(0.05)
    assert held.got == b"hello"
    there.close()
    held.transport.close()
