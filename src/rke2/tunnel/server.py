"""The supervisor's end of the tunnels: which node can be reached through which sessions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web

from rke2.errors import TunnelError
from rke2.tunnel.frames import MESSAGE_LIMIT
from rke2.tunnel.session import TIMING, Session, Timing, WebSocket
from rke2.tunnel.stream import Stream

log = logging.getLogger(__name__)


def websocket() -> web.WebSocketResponse:
    """What a handler of ``/connect`` prepares and gives to `TunnelServer.serve`.

    The session answers pings itself (with empty pongs, and counting them as signs of life).
    """
    return web.WebSocketResponse(
        autoping=False, autoclose=False, compress=False, max_msg_size=MESSAGE_LIMIT, timeout=TIMING.farewell
    )


class TunnelServer:
    """The sessions of all agents; a node may have several while one of them has not noticed its end.

    Args:
        on_change: called with a node's name and its number of sessions whenever that number changes.
    """

    def __init__(
        self, on_change: Callable[[str, int], None] = lambda node, sessions: None, timing: Timing = TIMING
    ) -> None:
        self._on_change = on_change
        self._timing = timing
        self._sessions: dict[str, list[Session]] = {}

    def nodes(self) -> dict[str, int]:
        """Sessions per node."""
        return {node: len(sessions) for node, sessions in self._sessions.items()}

    async def serve(self, websocket: WebSocket, node: str) -> None:
        """Keep a session with `node` until it ends, by the peer, a fault, or cancellation."""
        session = Session(websocket, node, timing=self._timing)
        self._sessions.setdefault(node, []).append(session)
        self._changed(node)
        log.info("node %s: tunnel open", node)
        try:
            log.info("%s", await session.run())
        finally:
            self._sessions[node].remove(session)
            self._changed(node)

    async def dial(self, node: str, address: str) -> Stream:
        """A connection through the newest session of `node`.

        Args:
            address: protocol and target as the node sees it, such as ``tcp/127.0.0.1:10250``.

        Raises:
            TunnelError: the node has no session. That the node cannot reach the target is told by the first
                read: the wire has no acknowledgement.
        """
        sessions = self._sessions.get(node)
        if not sessions:
            raise TunnelError(
                f"node {node} has no tunnel to this server",
                f"look for errors of the tunnel in the log of rke2 on {node}",
            )
        return sessions[-1].dial(address)

    def _changed(self, node: str) -> None:
        sessions = len(self._sessions[node])
        if not sessions:
            del self._sessions[node]
        self._on_change(node, sessions)
