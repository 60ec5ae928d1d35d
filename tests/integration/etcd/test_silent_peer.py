"""A peer that was reached and says nothing any more, as behind a network that was cut without a word."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.binaries import binary
from tests.integration.etcd.cluster import LIMIT, eventually

_MEMBER, _PEER = "http://127.42.0.1:2380", "http://127.42.0.2:2380"


class SilentPeer:
    """Accepts the streams on which a member waits for messages, and never sends one."""

    def __init__(self) -> None:
        self.streams = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; etcd's peers keep a stream's body open forever."""
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"GET /raft/stream/message"):
            self.streams += 1
            headers = (
                b"X-Server-Version: 3.6.0\r\nX-Min-Cluster-Version: 3.0.0\r\nTransfer-Encoding: chunked\r\n"
            )
            writer.write(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
            await reader.read()  # until the member gives the connection up
        writer.close()


@contextmanager
def _member(directory: Path) -> Iterator[None]:
    arguments = {
        "name": "member",
        "data-dir": directory / "etcd",
        "initial-cluster": f"member={_MEMBER},peer={_PEER}",
        "initial-advertise-peer-urls": _MEMBER,
        "listen-peer-urls": _MEMBER,
        "listen-client-urls": _MEMBER.replace("2380", "2379"),
        "advertise-client-urls": _MEMBER.replace("2380", "2379"),
    }
    command = [str(binary("etcd")), *(f"--{name}={value}" for name, value in arguments.items())]
    with (directory / "etcd.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield
        finally:
            process.kill()


async def test_a_silent_stream_is_opened_again(tmp_path: Path) -> None:
    """etcd's own limit is 5 s. Without it the stream waits for TCP, which probes again after up to two minutes."""
    peer = SilentPeer()
    server = await asyncio.start_server(peer.serve, "127.42.0.2", 2380)
    async with server, asyncio.timeout(LIMIT):
        with _member(tmp_path):
            await eventually(lambda: peer.streams)
            opened = asyncio.get_running_loop().time()
            await eventually(lambda: peer.streams > 1)
            assert asyncio.get_running_loop().time() - opened < 20
