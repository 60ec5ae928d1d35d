from __future__ import annotations

import asyncio

import pytest

from rke2.errors import HostError
from rke2.loadbalancer.local_api import LocalApiProxy


async def echo_server() -> tuple[asyncio.Server, int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_a_connection_waits_until_the_gate_opens() -> None:
    server, port = await echo_server()
    proxy = LocalApiProxy(0, ("127.0.0.1", port))
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"x" * 1_000_000)
    writer.write_eof()
    answer = asyncio.create_task(reader.read())
    await asyncio.sleep(0.05)
    assert not answer.done()
    proxy.open()
    assert await answer == b"x" * 1_000_000
    await proxy.close()
    server.close()


async def test_a_dead_target_closes_the_connection_and_the_gate_lives_on() -> None:
    server, port = await echo_server()
    server.close()
    await server.wait_closed()
    proxy = LocalApiProxy(0, ("127.0.0.1", port))
    await proxy.start()
    proxy.open()
    for _ in range(2):
        reader, _writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.read() == b""
    await proxy.close()


async def test_closing_ends_waiting_connections(caplog: pytest.LogCaptureFixture) -> None:
    proxy = LocalApiProxy(0, ("127.0.0.1", 1))
    await proxy.start()
    reader, _writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await asyncio.sleep(0.01)
    await proxy.close()
    assert await reader.read() == b""
    assert caplog.text == ""


async def test_a_pause_refuses_and_then_holds_as_at_first() -> None:
    server, port = await echo_server()
    proxy = LocalApiProxy(0, ("127.0.0.1", port))
    await proxy.start()
    proxy.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await asyncio.sleep(0.05)
    await proxy.pause()
    assert (proxy.paused, proxy.accepts, proxy.is_open) == (True, False, False)
    assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)

    before = proxy.port
    await proxy.start()
    assert (proxy.paused, proxy.accepts, proxy.port) == (False, True, before)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"y")
    writer.write_eof()
    answer = asyncio.create_task(reader.read())
    await asyncio.sleep(0.05)
    assert not answer.done()
    proxy.open()
    assert await answer == b"y"
    await proxy.close()
    server.close()


async def test_a_taken_port_is_named() -> None:
    server, port = await echo_server()
    with pytest.raises(HostError, match=str(port)):
        await LocalApiProxy(port, ("127.0.0.1", 1)).start()
    server.close()
