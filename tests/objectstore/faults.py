"""A proxy in front of an object store without TLS: it lets requests through, answers in the store's place, or cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from rke2.config.model import S3Settings

CHUNK = 65536


@dataclass(frozen=True)
class Asked:
    """A request: its line, and how many there were before."""

    method: str
    target: str
    number: int


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead.

    Args:
        status: an answer without a body of S3; 0 lets the request through.
        cut: bytes after which the connection of the client is cut, of the request or of the answer; 0 for never.
        of_answer: `cut` counts those of the answer.
    """

    status: int = 0
    cut: int = 0
    of_answer: bool = False


Rule = Callable[[Asked], Fault | None]


@dataclass
class Proxy:
    """The proxy; `settings` lead to it."""

    settings: S3Settings
    rule: Rule = lambda asked: None
    asked: list[Asked] = field(default_factory=list)


@asynccontextmanager
async def faulty(settings: S3Settings, address: str, port: int = 7071) -> AsyncIterator[Proxy]:
    """A proxy at `address` inside the block, which does nothing until it has a rule."""
    host, _, upstream_port = settings.endpoint.rpartition(":")
    proxy = Proxy(replace(settings, endpoint=f"{address}:{port}"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            asked = Asked(method, target, len(proxy.asked))
            proxy.asked.append(asked)
            fault = proxy.rule(asked) or Fault()
            if fault.status:
                answer = f"HTTP/1.1 {fault.status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                writer.write(answer.encode())
                await writer.drain()
                await _drained(reader)
            else:
                back, forth = await asyncio.open_connection(host, int(upstream_port))
                forth.write(head)
                await _both(reader, writer, back, forth, fault)
                forth.close()
        writer.close()

    server = await asyncio.start_server(serve, address, port)
    try:
        yield proxy
    finally:
        server.close()


async def _drained(reader: asyncio.StreamReader) -> None:
    """Take what the client still sends: a connection that is closed before resets it, and the answer is lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            while await reader.read(CHUNK):
                pass


async def _both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    back: asyncio.StreamReader,
    forth: asyncio.StreamWriter,
    fault: Fault,
) -> None:
    up = asyncio.create_task(_pump(reader, forth, 0 if fault.of_answer else fault.cut))
    down = asyncio.create_task(_pump(back, writer, fault.cut if fault.of_answer else 0))
    done, left = await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    if down not in done and not up.result():
        await asyncio.wait((down,))
    for task in left:
        task.cancel()
    if fault.cut:
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int) -> bool:
    """Copy until the end, or to the cut; whether it was the cut."""
    done = 0
    with suppress(ConnectionError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
            done += len(chunk)
            if cut and done >= cut:
                return True
    return False
