"""One request on its way through the supervisor: who asks, under which program name, with what body."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp.web import BaseRequest

from rke2.supervisor.authentication import Identity
from rke2.supervisor.status import StatusError

BODY_LIMIT = 64 * 1024
"""Bytes of a request body; the largest signing request is a few KiB."""


@dataclass(frozen=True)
class Call:
    """A request that a route has matched.

    Args:
        path: as the route table has it.
        identity: None where no credentials were asked for.
        program: ``rke2``, or ``k3s`` for a client that knows the API by that name.
        content: the body, once it has been read.
    """

    request: BaseRequest
    path: str
    identity: Identity | None = None
    program: str = "rke2"
    content: bytes | None = None

    def node_header(self, field: str) -> str:
        """``<program>-Node-<field>``, empty if it was not sent."""
        return self.request.headers.get(f"{self.program}-Node-{field}", "").strip()

    @property
    def from_this_machine(self) -> bool:
        """Whether the client's address is one of this machine: loopback, or the one it connected to."""
        remote, local = peer_address(self.request), local_address(self.request)
        # Who connects to an address of its own machine comes from that same address.
        return bool(remote) and (remote == local or ip_address(remote).is_loopback)

    async def body(self, limit: int = BODY_LIMIT) -> bytes:
        """The request body.

        Raises:
            StatusError: 413, it is larger than `limit`, in bytes.
        """
        if self.content is not None:
            return self.content
        # Without reading it; a body that comes in chunks has no length, and is counted below.
        if (self.request.content_length or 0) > limit:
            raise _too_large(limit)
        body = bytearray()
        async for chunk in self.request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)

    async def complete(self) -> Call:
        """This call with its body read.

        Raises:
            StatusError: 413, it is larger than `BODY_LIMIT`.
        """
        return replace(self, content=await self.body())


def _too_large(limit: int) -> StatusError:
    return StatusError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {limit} bytes",
        # The rest of the body is still on its way, and would be taken for the next request.
        {"Connection": "close"},
    )


def peer_address(request: BaseRequest) -> str:
    """The client's IP address without zone, empty if the connection is gone."""
    return _address(request, "peername")


def local_address(request: BaseRequest) -> str:
    """The address of this machine that the client has connected to."""
    return _address(request, "sockname")


def _address(request: BaseRequest, which: str) -> str:
    name = request.transport.get_extra_info(which) if request.transport else None
    return str(name[0]).partition("%")[0] if name else ""
