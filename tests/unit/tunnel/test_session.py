"""Bytes through a whole tunnel: much, in parallel, cut off in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import os
from unittest.mock import AsyncMock, Mock

import pytest
from aiohttp import WSMessage, WSMsgType
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2.errors import TunnelError
from rke2.tunnel.connection import HIGH_WATER, OVERFLOW, TunnelConnection
from rke2.tunnel.frames import FrameKind
from rke2.tunnel.session import Session, TunnelTiming
from rke2.tunnel.stream import DirectStream, Stream, pipe
from tests.patience import HANG_SECONDS
from tests.unit.tunnel.ends import NODE, Ends, anything, echo, second_agent, target, tunnel, until

MEBI = 1 << 20

UNHURRIED = TunnelTiming(silence=HANG_SECONDS)
"""A hundred mebibytes may take a busy machine longer than a peer may usually be silent."""


async def read_all(stream: Stream) -> bytes:
    parts = []
    while data := await stream.read():
        parts.append(data)
    return b"".join(parts)


async def read_exactly(stream: Stream, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        parts += await stream.read()
    return bytes(parts)


async def test_ten_mebibytes_go_to_an_echo_and_back() -> None:
    data = os.urandom(10 * MEBI)
    async with tunnel() as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        stream = await ends.server.dial(NODE, address)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.write(data))
            answer = tasks.create_task(read_exactly(stream, len(data)))
        assert hashlib.sha256(answer.result()).digest() == hashlib.sha256(data).digest()
        await stream.close()
        await until(lambda: len(ends.agent) == 0)


@pytest.mark.parametrize("size", [5 * MEBI, 31 * MEBI])
async def test_one_write_of_many_mebibytes_ends_nothing(size: int) -> None:
    """Upstream sends what one write of a stream held as one message, however much that is."""
    data = os.urandom(size)
    async with tunnel() as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        stream, other = await ends.server.dial(NODE, address), await ends.server.dial(NODE, address)
        sender = ends.server._sessions[NODE][0].session
        assert isinstance(stream, TunnelConnection)
        sender._outbox.post(stream.number, FrameKind.DATA, data)
        assert await read_exactly(stream, size) == data

        ends.agent._outbox.post(stream.number, FrameKind.DATA, data)
        assert await read_exactly(stream, size) == data
        await other.write(b"still there")
        assert await other.read() == b"still there"


async def test_a_peer_that_does_not_pause_loses_that_connection_and_no_other() -> None:
    async with tunnel(UNHURRIED) as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        deaf, other = await ends.server.dial(NODE, address), await ends.server.dial(NODE, address)
        assert isinstance(deaf, TunnelConnection)
        for _ in range(OVERFLOW // (16 * MEBI) + 1):
            ends.agent._outbox.post(deaf.number, FrameKind.DATA, bytes(16 * MEBI))
        await until(lambda: len(ends.server._sessions[NODE][0].session) == 1)
        with pytest.raises(TunnelError, match="were sent to paused connections"):
            await read_all(deaf)
        await until(lambda: len(ends.agent) == 1)  # the peer was told
        await other.write(b"still there")
        assert await other.read() == b"still there"


async def test_peers_that_do_not_pause_are_bounded_together() -> None:
    """Else each connection of one session could hold as much."""
    async with tunnel(UNHURRIED) as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        deaf = [await ends.server.dial(NODE, address) for _ in range(2)]
        for stream, size in zip(deaf, (50, 60), strict=True):
            assert isinstance(stream, TunnelConnection)
            ends.agent._outbox.post(stream.number, FrameKind.DATA, bytes(size * MEBI))
        await until(lambda: len(ends.server._sessions[NODE][0].session) == 1)
        with pytest.raises(TunnelError, match="were sent to paused connections"):
            await read_all(deaf[1])
        assert len(await read_exactly(deaf[0], 50 * MEBI)) == 50 * MEBI


async def test_a_sender_waits_for_a_reader_that_does_not_read_and_nobody_else_does() -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(40 * 16):
            writer.write(bytes(MEBI // 16))
            await writer.drain()
            sent += MEBI // 16

    async with (
        tunnel() as ends,
        target(pour) as address,
        target(echo) as echoing,
        asyncio.timeout(HANG_SECONDS),
    ):
        slow = await ends.server.dial(NODE, address)
        await until(lambda: sent > HIGH_WATER)
        quick = await ends.server.dial(NODE, echoing)
        await quick.write(b"hello")
        assert await quick.read() == b"hello"
        assert sent < 40 * MEBI
        assert len(await read_all(slow)) == 40 * MEBI


async def test_a_target_that_reads_slowly_makes_the_dialler_wait() -> None:
    go_on = asyncio.Event()
    received = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await go_on.wait()
        while data := await reader.read(65536):
            received += len(data)

    async with tunnel() as ends, target(slow) as address, asyncio.timeout(HANG_SECONDS):
        stream = await ends.server.dial(NODE, address)
        writing = asyncio.create_task(stream.write(bytes(40 * MEBI)))
        done, _ = await asyncio.wait([writing], timeout=1)
        assert not done
        go_on.set()
        await writing
        await stream.close()
        await until(lambda: received == 40 * MEBI)


async def test_what_a_target_says_before_it_closes_arrives_before_the_end() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(bytes(3 * MEBI))
        await writer.drain()

    async with tunnel() as ends, target(answer) as address, asyncio.timeout(HANG_SECONDS):
        stream = await ends.server.dial(NODE, address)
        await stream.write(b"tell")
        assert await read_all(stream) == bytes(3 * MEBI)
        assert await stream.read() == b""


async def test_what_the_dialler_says_before_it_closes_arrives_although_the_target_talks() -> None:
    received = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"banner")
        data = bytearray()
        while part := await reader.read(65536):
            data += part
            writer.write(b"more")
        received.set_result(bytes(data))

    async with tunnel() as ends, target(listen) as address, asyncio.timeout(HANG_SECONDS):
        stream = await ends.server.dial(NODE, address)
        await stream.write(bytes(MEBI))
        await stream.close()
        assert await received == bytes(MEBI)


async def test_a_hundred_connections_at_once() -> None:
    async def one(number: int, stream: Stream) -> None:
        data = number.to_bytes(2, "big") * 40_000
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.write(data))
            assert await read_exactly(stream, len(data)) == data
        await stream.close()

    async with tunnel() as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(one(number, await ends.server.dial(NODE, address)))
        await until(lambda: len(ends.agent) == 0)


async def test_a_target_that_refuses_is_told_by_the_first_read() -> None:
    async with target(echo) as address:
        pass
    async with tunnel() as ends, asyncio.timeout(HANG_SECONDS):
        stream = await ends.server.dial(NODE, address)
        with pytest.raises(TunnelError, match="refused"):
            await stream.read()


async def test_an_agent_that_goes_ends_its_streams_and_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with tunnel() as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        idle = await ends.server.dial(NODE, address)
        busy = await ends.server.dial(NODE, address)
        await busy.write(b"x")
        assert await busy.read() == b"x"
        reading = asyncio.create_task(idle.read())
        writing = asyncio.create_task(busy.write(bytes(100 * MEBI)))
        await until(lambda: len(ends.agent) == 2)
        ends.agent_task.cancel()
        for task in (reading, writing):
            with pytest.raises(TunnelError, match=NODE):
                await task
        await until(lambda: not ends.server.nodes())
        with pytest.raises(TunnelError, match="no tunnel"):
            await ends.server.dial(NODE, address)
        with pytest.raises(TunnelError):
            await idle.write(b"x")
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_refused_connect_ends_the_session() -> None:
    async with tunnel() as ends, asyncio.timeout(HANG_SECONDS):
        ends.agent._authorize = lambda network, address: None
        stream = await ends.server.dial(NODE, "tcp/127.0.0.1:22")
        with pytest.raises(TunnelError, match="connect not allowed"):
            await stream.read()
        assert "connect not allowed" in str(await ends.agent_task)


async def test_the_agent_pings_and_the_server_answers() -> None:
    """With so short a patience, both ends live only by pings and pongs."""
    timing = TunnelTiming(ping=0.1, silence=2.0, sync=0.2)
    async with tunnel(timing) as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        stream = await ends.server.dial(NODE, address)
        await asyncio.wait([ends.agent_task], timeout=3.0)
        await stream.write(b"still there")
        assert await stream.read() == b"still there"


async def _answers(ends: Ends, address: str) -> bool:
    stream = await ends.server.dial(NODE, address)
    await stream.write(b"x")
    try:
        return await stream.read() == b"x"
    finally:
        await stream.close()


async def test_a_second_machine_takes_nothing_from_a_tunnel_that_is_alive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has a copy of the node's certificate."""
    asked: list[str] = []

    def seize(network: str, address: str) -> None:
        asked.append(address)

    async with tunnel() as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        async with second_agent(ends.url, "127.0.0.2", seize):
            await until(lambda: ends.server.nodes() == {NODE: 2})
            assert await _answers(ends, address)
        await until(lambda: ends.server.nodes() == {NODE: 1})
    assert asked == []
    assert "a second tunnel, from 127.0.0.2; the one from 127.0.0.1 stays in use" in caplog.text


async def test_a_node_that_has_moved_is_reached_where_it_is() -> None:
    """The end of its old session was not noticed: nothing is heard of that one any more."""
    timing = TunnelTiming(alive=0.3, ping=60.0)
    async with tunnel(timing) as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        await asyncio.sleep(0.4)
        ends.agent._authorize = lambda network, address: None
        async with second_agent(ends.url, "127.0.0.2", anything, timing):
            await until(lambda: ends.server.nodes() == {NODE: 2})
            assert await _answers(ends, address)


async def test_a_node_that_comes_back_from_where_it_was_is_believed_at_once() -> None:
    async with tunnel() as ends, target(echo) as address, asyncio.timeout(HANG_SECONDS):
        ends.agent._authorize = lambda network, address: None
        async with second_agent(ends.url, "127.0.0.1", anything):
            await until(lambda: ends.server.nodes() == {NODE: 2})
            assert await _answers(ends, address)


async def test_a_silent_peer_is_given_up() -> None:
    timing = TunnelTiming(ping=60.0, silence=0.2)
    async with tunnel(timing) as ends, asyncio.timeout(HANG_SECONDS):
        assert "was heard" in str(await ends.agent_task) or not ends.server.nodes()
        await until(lambda: not ends.server.nodes())


async def test_a_pipe_of_tunnel_and_tcp_passes_on_why_it_broke() -> None:
    async with (
        tunnel() as ends,
        target(echo) as address,
        target(echo) as other,
        asyncio.timeout(HANG_SECONDS),
    ):
        far = await ends.server.dial(NODE, address)
        near = await DirectStream.open("127.0.0.1", int(other.rpartition(":")[2]))
        piping = asyncio.create_task(pipe(far, near))
        await asyncio.wait([piping], timeout=0.05)
        piping.cancel()
        await asyncio.wait([piping])
        assert piping.cancelled()
        await until(lambda: len(ends.agent) == 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
async def test_no_bytes_crash_a_session(messages: list[bytes], agent: bool) -> None:
    """Whatever comes, the session takes it or raises its own error."""
    session = Session(Mock(), "peer", (lambda network, address: None) if agent else None)
    session._websocket.close = AsyncMock()  # type: ignore[method-assign]
    session.dial("tcp/127.0.0.1:10250")
    for message in messages:
        try:
            session._take_message(WSMessage(WSMsgType.BINARY, message, None))
        except TunnelError:
            break
