"""A supervisor's end, byte by byte, against an agent made by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rke2.errors import TunnelError
from rke2.tunnel.connection import OVERFLOW
from rke2.tunnel.frames import MESSAGE_LIMIT
from rke2.tunnel.server import TunnelServer
from rke2.tunnel.session import TunnelTiming
from tests.contract.tunnel.rawsocket import BINARY, CLOSE, PING, PONG, TEXT, RawSocket, dial
from tests.unit.tunnel.ends import listening, until

# Zig-zag: 2 is 04, 3 is 06; a deadline of 15000 is b0 ea 01.
DEADLINE = b"\xb0\xea\x01"
CONNECT_2 = b"\x04\x04" + DEADLINE + b"tcp/127.0.0.1:10250"
NUMBER = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
"""The id of a frame; this is the largest, 2⁶³ - 1."""

Connected = Callable[[], Awaitable[RawSocket]]


@pytest.fixture
async def server() -> TunnelServer:
    return TunnelServer(timing=TunnelTiming(unseen=0.0))


@pytest.fixture
async def connect(server: TunnelServer) -> AsyncIterator[Connected]:
    """Makes agents of the node "worker"."""
    made: list[RawSocket] = []

    async def one() -> RawSocket:
        made.append(await dial(int(url.rpartition(":")[2]), "/worker"))
        await until(lambda: server.nodes().get("worker", 0) == len(made))
        return made[-1]

    async with listening(server) as url, asyncio.timeout(30):
        yield one
        for each in made:
            each.drop()
        await until(lambda: not server.nodes())


async def test_golden_bytes_of_a_connection(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    stream = await server.dial("worker", "tcp/127.0.0.1:10250")
    await stream.write(b"hello")
    assert await agent.body() == CONNECT_2
    assert await agent.body() == b"\x04\x02" + DEADLINE + b"hello"
    await agent.send(NUMBER + b"\x04\x02" + DEADLINE + b"welcome")
    assert await stream.read() == b"welcome"
    await stream.close()
    assert await agent.body() == b"\x04\x06EOF"


async def test_connections_are_numbered_from_two(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    for number in (b"\x04", b"\x06", b"\x08"):
        await server.dial("worker", "tcp/127.0.0.1:10010")
        assert await agent.body() == number + b"\x04" + DEADLINE + b"tcp/127.0.0.1:10010"


async def test_ids_count(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    numbers = []
    for _ in range(2):
        await server.dial("worker", "tcp/127.0.0.1:10250")
        encoded = (await agent.expect(BINARY)).split(CONNECT_2[1:])[0][:-1]
        numbers.append(sum((byte & 0x7F) << 7 * at for at, byte in enumerate(encoded)))
    assert numbers[1] == numbers[0] + 2  # zig-zag doubles


async def test_eof_is_the_orderly_end_and_other_errors_are_told(
    server: TunnelServer, connect: Connected
) -> None:
    agent = await connect()
    first = await server.dial("worker", "tcp/127.0.0.1:10250")
    second = await server.dial("worker", "tcp/127.0.0.1:10250")
    await agent.send(NUMBER + b"\x04\x02" + DEADLINE + b"last words")
    await agent.send(NUMBER + b"\x04\x06EOF")
    await agent.send(NUMBER + b"\x06\x06dial tcp 127.0.0.1:10250: connection refused")
    assert [await first.read(), await first.read()] == [b"last words", b""]
    with pytest.raises(TunnelError, match="connection refused"):
        await second.read()


async def test_pause_and_resume_of_the_agent(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    stream = await server.dial("worker", "tcp/127.0.0.1:10250")
    other = await server.dial("worker", "tcp/127.0.0.1:10250")
    assert await agent.body() == CONNECT_2
    assert await agent.body()
    await agent.send(NUMBER + b"\x04\x0c")
    await agent.send(NUMBER + b"\x06\x02" + DEADLINE + b"mark")
    await other.read()
    writing = asyncio.create_task(stream.write(b"held"))
    await other.write(b"not held")
    assert await agent.body() == b"\x06\x02" + DEADLINE + b"not held"
    assert not writing.done()
    await agent.send(NUMBER + b"\x04\x0e")
    assert await agent.body() == b"\x04\x02" + DEADLINE + b"held"
    await writing


async def test_pause_and_resume_of_the_server(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    stream = await server.dial("worker", "tcp/127.0.0.1:10250")
    assert await agent.body() == CONNECT_2
    piece = bytes(128 * 1024)
    for _ in range(17):  # 2 MiB and one piece
        await agent.send(NUMBER + b"\x04\x02" + DEADLINE + piece)
    assert await agent.body() == b"\x04\x0c"
    for _ in range(15):  # leaves 256 KiB, which is not less than 256 KiB
        await stream.read()
    await agent.send(b"", PING)
    assert (await agent.receive())[0] == PONG
    await stream.read()
    assert await agent.body() == b"\x04\x0e"


async def test_data_for_an_unknown_connection(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    await agent.send(NUMBER + b"\x12\x02" + DEADLINE + b"who")
    answer = await agent.body()
    assert answer.startswith(b"\x12\x06connection not found worker/")


async def test_what_the_agent_does_not_list_is_dropped_silently(
    server: TunnelServer, connect: Connected
) -> None:
    agent = await connect()
    dropped = await server.dial("worker", "tcp/127.0.0.1:10250")
    kept = await server.dial("worker", "tcp/127.0.0.1:10250")
    assert await agent.body()
    assert await agent.body()
    await agent.send(NUMBER + b"\x00\x10" + (3).to_bytes(8, "little"))
    with pytest.raises(TunnelError, match="does not know"):
        await dropped.read()
    await kept.write(b"x")
    assert await agent.body() == b"\x06\x02" + DEADLINE + b"x"


async def test_a_connection_under_way_is_not_dropped(connect: Connected, server: TunnelServer) -> None:
    server._timing = TunnelTiming()
    agent = await connect()
    stream = await server.dial("worker", "tcp/127.0.0.1:10250")
    await agent.send(NUMBER + b"\x00\x10")
    await agent.send(NUMBER + b"\x04\x02" + DEADLINE + b"x")
    assert await stream.read() == b"x"
    await agent.send(NUMBER + b"\x00\x10")
    with pytest.raises(TunnelError, match="does not know"):
        await stream.read()


async def test_peering_and_unknown_kinds_are_ignored(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    for kind in (b"\x08", b"\x0a", b"\x12", b"\x40"):
        await agent.send(NUMBER + b"\x00" + kind + b"worker-2/1")
    await agent.send(b"", PING)
    assert await agent.receive() == (PONG, b"")


async def test_a_pong_is_empty(connect: Connected) -> None:
    agent = await connect()
    await agent.send(b"payload", PING)
    assert await agent.receive() == (PONG, b"")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        pytest.param(b"\x80", BINARY, id="cut"),
        pytest.param(b"\xff" * 30, BINARY, id="number too long"),
        pytest.param(NUMBER + b"\x00\x10\x00", BINARY, id="cut list"),
        pytest.param(NUMBER + CONNECT_2, BINARY, id="an agent that dials"),
        pytest.param(b"hello", TEXT, id="text"),
        pytest.param(b"\x03\xe8", CLOSE, id="close"),
        pytest.param(bytes(MESSAGE_LIMIT + 1), BINARY, id="too big"),
    ],
)
async def test_garbage_ends_the_session_and_its_streams(
    server: TunnelServer, connect: Connected, message: bytes, kind: int
) -> None:
    agent = await connect()
    stream = await server.dial("worker", "tcp/127.0.0.1:10250")
    with contextlib.suppress(ConnectionError):
        await agent.send(message, kind)
    with pytest.raises(TunnelError, match="worker"):
        await stream.read()
    await agent.closed()
    await until(lambda: not server.nodes())


async def test_a_peer_that_ignores_pause_is_cut_off(server: TunnelServer, connect: Connected) -> None:
    agent = await connect()
    stream = await server.dial("worker", "tcp/127.0.0.1:10250")
    piece = NUMBER + b"\x04\x02" + DEADLINE + bytes(1 << 20)
    with contextlib.suppress(ConnectionError):
        for _ in range((OVERFLOW >> 20) + 20):
            await agent.send(piece)
    with pytest.raises(TunnelError, match="paused"):
        await stream.read()
    assert server.nodes() == {"worker": 1}, "no other connection has to do with it"


async def test_the_newest_session_is_dialled(server: TunnelServer, connect: Connected) -> None:
    old, new = await connect(), await connect()
    assert server.nodes() == {"worker": 2}
    await server.dial("worker", "tcp/127.0.0.1:10250")
    assert await new.body() == CONNECT_2
    new.drop()
    await until(lambda: server.nodes() == {"worker": 1})
    await server.dial("worker", "tcp/127.0.0.1:10250")
    assert await old.body() == CONNECT_2


async def test_an_agent_that_does_not_read_holds_nobody_up(server: TunnelServer, connect: Connected) -> None:
    """Its own streams close at once, and other agents go on."""
    stalled, lively = await connect(), await connect()
    assert server.nodes() == {"worker": 2}
    through_lively = await server.dial("worker", "tcp/127.0.0.1:10250")
    through_stalled = server._sessions["worker"][0].session.dial("tcp/127.0.0.1:10250")
    writing = asyncio.create_task(through_stalled.write(bytes(64 << 20)))
    assert await lively.body() == CONNECT_2
    await through_lively.write(b"x")
    assert await lively.body() == b"\x04\x02" + DEADLINE + b"x"
    assert not writing.done()
    await through_stalled.close()
    with pytest.raises(TunnelError):
        await writing
    assert stalled
