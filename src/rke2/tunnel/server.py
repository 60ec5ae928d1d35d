"""The supervisor's end of the tunnels: which node can be reached through which sessions."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from rke2.errors import TunnelError
from rke2.tunnel.frames import MESSAGE_LIMIT
from rke2.tunnel.session import TIMING, Session, TunnelTiming, WebSocket
from rke2.tunnel.stream import Stream

log = logging.getLogger(__name__)


def websocket() -> web.WebSocketResponse:
    """What a handler of ``/connect`` prepares and gives to `TunnelServer.serve`.

    The session answers pings itself (with empty pongs, and counting them as signs of life).
    """
    return web.WebSocketResponse(
        autoping=False, autoclose=False, compress=False, max_msg_size=MESSAGE_LIMIT, timeout=TIMING.farewell
    )


@dataclass(frozen=True)
class _Held:
    session: Session
    peer: str


class TunnelServer:
    """The sessions of all agents; a node may have several while one of them has not noticed its end.

    A second one from another address takes nothing from one that is alive: a copy of a node's certificate on another
    machine would otherwise take over its connections.

    Args:
        on_change: called with a node's name and its number of sessions whenever that number changes.
    """

    def __init__(
        self,
        on_change: Callable[[str, int], None] = lambda node, sessions: None,
        timing: TunnelTiming = TIMING,
    ) -> None:
        self._on_change = on_change
        self._timing = timing
        self._sessions: dict[str, list[_Held]] = {}
        self.opened: Counter[str] = Counter()
        """Sessions that each node has ever had here; `nodes` tells of how many are left."""

    def nodes(self) -> dict[str, int]:
        """Sessions per node."""
        return {node: len(sessions) for node, sessions in self._sessions.items()}

    async def serve(self, websocket: WebSocket, node: str, peer: str = "") -> None:
        """Keep a session with `node` until it ends, by the peer, a fault, or cancellation.

        Args:
            peer: the address it comes from.
        """
        held = _Held(Session(websocket, node, timing=self._timing), peer)
        # Before it is added: with no session alive, `_peer` would name this one as the former.
        self._warn_of_another(node, peer)
        self._sessions.setdefault(node, []).append(held)
        self.opened[node] += 1
        self._changed(node)
        log.info("node %s: tunnel open", node)
        try:
            log.info("%s", await held.session.run())
        finally:
            self._sessions[node].remove(held)
            self._changed(node)

    async def dial(self, node: str, address: str) -> Stream:
        """A connection through a session of `node`: the newest from where the oldest that is alive comes from.

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
        peer = self._peer(node)
        # The newest: older ones from there may be cut connections that have not noticed their end yet.
        return next(held for held in reversed(sessions) if held.peer == peer).session.dial(address)

    def _peer(self, node: str) -> str:
        """Where the node is: where its oldest session comes from that was heard of lately, else its newest one."""
        sessions = self._sessions[node]
        alive = (held for held in sessions if held.session.silent_for() < self._timing.alive)
        return next(alive, sessions[-1]).peer

    def _warn_of_another(self, node: str, peer: str) -> None:
        if self._sessions.get(node) and (former := self._peer(node)) != peer:
            log.warning(
                "node %s: a second tunnel, from %s; the one from %s stays in use while it is alive. If these are two "
                "machines, one has a copy of the other's certificate: delete the Node and its machine's data",
                node,
                peer,
                former,
            )

    def _changed(self, node: str) -> None:
        sessions = len(self._sessions[node])
        if not sessions:
            del self._sessions[node]
        self._on_change(node, sessions)
