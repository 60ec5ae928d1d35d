"""Connections are ended, whatever was done to them before."""

from __future__ import annotations

import asyncio
import socket

from rke2.host.transports import abort


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
