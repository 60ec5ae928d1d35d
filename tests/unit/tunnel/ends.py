"""Both ends of a tunnel over a real websocket, and TCP servers to reach through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from rke2.tunnel.frames import MESSAGE_LIMIT
from rke2.tunnel.server import TunnelServer, websocket
from rke2.tunnel.session import TIMING, Authorize, Session, Target, TunnelTiming
from tests.patience import HANG_SECONDS

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NODE = "worker-1"


def anything(network: str, address: str) -> Target:
    host, _, port = address.rpartition(":")
    return host, int(port)


@asynccontextmanager
async def listening(tunnel: TunnelServer) -> AsyncIterator[str]:
    """The URL of a supervisor that has only this tunnel; a node's name is its path."""

    async def connect(request: web.BaseRequest) -> web.StreamResponse:
        response = websocket()
        await response.prepare(request)
        await tunnel.serve(response, request.path.strip("/"), request.remote or "")
        return response

    runner = web.ServerRunner(web.Server(connect), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def second_agent(
    url: str, address: str, authorize: Authorize, timing: TunnelTiming = TIMING
) -> AsyncIterator[Session]:
    """Another one for the same node, that comes from `address`."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.ws_connect(f"{url}/{NODE}", autoping=False, autoclose=False) as socket,
    ):
        agent = Session(socket, "server", authorize, timing)
        task = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            task.cancel()
            await asyncio.wait([task])


@dataclass
class Ends:
    server: TunnelServer
    agent: Session
    agent_task: asyncio.Task[object]
    url: str


@asynccontextmanager
async def tunnel(timing: TunnelTiming = TIMING) -> AsyncIterator[Ends]:
    """A supervisor and an agent that are connected."""
    open_sessions = asyncio.Event()
    server = TunnelServer(lambda node, sessions: open_sessions.set(), timing)
    async with (
        listening(server) as url,
        aiohttp.ClientSession() as http,
        http.ws_connect(
            f"{url}/{NODE}", autoping=False, autoclose=False, max_msg_size=MESSAGE_LIMIT
        ) as socket,
    ):
        agent = Session(socket, "server", anything, timing)
        task = asyncio.create_task(agent.run())
        await open_sessions.wait()
        try:
            yield Ends(server, agent, task, url)
        finally:
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def target(handler: Handler) -> AsyncIterator[str]:
    """A TCP server in the place of a kubelet, as a Connect's address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"tcp/127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(HANG_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)
