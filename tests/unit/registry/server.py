"""A registry in this process that can be told to misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from tests.registry import digest, image

LAYERS = [bytes(range(256)) * 4000, b"second layer"]
MANIFEST, BLOBS = image(LAYERS)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Server:
    """Serves one image, ``a/b:v1``. `answers` come first: path -> what to do instead, until it returns None."""

    def __init__(self) -> None:
        self.content = {digest(blob): blob for blob in BLOBS}
        self.manifests = {"v1": MANIFEST, digest(MANIFEST): MANIFEST}
        self.answers: dict[str, Answer] = {}
        self.requests: list[web.Request] = []
        self.port = 0
        self.scheme = "http"
        self.closing = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v2"

    def asked(self, path: str) -> list[web.Request]:
        return [request for request in self.requests if request.path.endswith(path)]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        for path, answer in self.answers.items():
            if request.path.endswith(path) and (response := await answer(request)) is not None:
                return response
        *_, kind, name = request.path.split("/")
        found = {"manifests": self.manifests, "blobs": self.content}[kind].get(name)
        if found is None:
            return web.json_response({"errors": [{"message": "unknown"}]}, status=404)
        return whole(request, found)

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        self.scheme = "https" if tls else "http"
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            self.closing.set()
            await runner.cleanup()


def whole(request: web.Request, content: bytes) -> web.Response:
    """The content, or the part of it that is asked for."""
    wanted = request.http_range.start
    if not wanted:
        return web.Response(body=content)
    headers = {"Content-Range": f"bytes {wanted}-{len(content) - 1}/{len(content)}"}
    return web.Response(status=206, body=content[wanted:], headers=headers)


def always(**response: object) -> Answer:
    """The same answer every time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(**response)  # type: ignore[arg-type]

    return answer


def times(count: int, answer: Answer) -> Answer:
    """`answer` so many times, then the right one."""
    left = [count]

    async def limited(request: web.Request) -> web.StreamResponse | None:
        left[0] -= 1
        return await answer(request) if left[0] >= 0 else None

    return limited


def cut(content: bytes, after: int) -> Answer:
    """Send `after` bytes from where they are wanted, promise the rest, and end the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        start = request.http_range.start or 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(content) - start
        await response.prepare(request)
        await response.write(content[start : start + after])
        assert request.transport
        request.transport.close()
        return response

    return answer
