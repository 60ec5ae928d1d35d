"""Channels: a web server that redirects, as update.rke2.io does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rke2.rollout.channel import ChannelError, latest


@asynccontextmanager
async def answering(status: str, *headers: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A web server that gives everybody the same answer; its URL, and what it was asked."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        lines = [f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1-release/channels/v1.37", asked


@pytest.mark.parametrize("status", ["302 Found", "301 Moved Permanently", "307 Temporary Redirect"])
async def test_a_redirect_names_the_version(status: str) -> None:
    to = "Location: https://github.com/rancher/rke2/releases/tag/v1.37.2%2Brke2r1"
    async with answering(status, to) as (url, asked):
        assert await latest(url, {"X-SUC-Cluster-ID": "uid"}) == "v1.37.2+rke2r1"
    assert len(asked) == 1, "the redirect was followed"
    assert "uid" in asked[0]


async def test_an_answer_names_what_it_is_at() -> None:
    async with answering("200 OK") as (url, _):
        assert await latest(url, {}) == "v1.37"


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "302 Found"])
async def test_what_names_none_is_told(status: str) -> None:
    async with answering(status) as (url, _):
        with pytest.raises(ChannelError, match=f"unexpected response: {status}"):
            await latest(url, {})


async def test_other_channels(tmp_path: Path) -> None:
    (tmp_path / "v1.37.2+rke2py1").mkdir()
    assert await latest(tmp_path.as_uri(), {}) == "v1.37.2+rke2py1"
    with pytest.raises(ChannelError, match="is not a valid channel"):
        await latest("ftp://example/v1", {})
    with pytest.raises(ChannelError, match="refused"):
        await latest("http://127.0.0.1:1/", {})
