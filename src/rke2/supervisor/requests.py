"""Requests whose answers do not tell what the supervisor is made of."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import hdrs, web


class SupervisorRequest(web.BaseRequest):
    """A request; answers to it, errors of the HTTP parser included, go out without ``Server``, as RKE2's do.

    aiohttp sets that header last, with its own version and Python's, and leaves this hook before the answer is written.
    """

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.popall(hdrs.SERVER, None)


def request_from(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> SupervisorRequest:
    """As aiohttp's server makes its requests, of the head, the body, the connection, and who writes and runs it."""
    return SupervisorRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
