"""The agent's end of the tunnels: one websocket to every supervisor (supervisor-api 9.2)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from typing import Final

import aiohttp

from rke2.errors import RKE2Error, TunnelError
from rke2.host.unreachable import reason_of
from rke2.tunnel.frames import MESSAGE_LIMIT
from rke2.tunnel.session import TIMING, Authorize, Session, TunnelTiming

log = logging.getLogger(__name__)

_PATH: Final = "/v1-rke2/connect"
_RETRY: Final = 1.0
"""Seconds after a loss or a failed attempt."""
_HANDSHAKE_LIMIT: Final = 15.0
"""Seconds for TCP, TLS and the websocket's upgrade together."""


class TunnelAgent:
    """Keeps a session with each of the cluster's supervisors.

    Args:
        tls: the client's certificate (client-kubelet) and the server CA; called for each connection, so renewed
            certificates are used from the next one on. Its `check_hostname` decides whether the server's
            certificate must name the address. Leave it on: upstream's agent checks it too.
        authorize: what supervisors may reach, see `rke2.tunnel.authorizer`.
        on_state: called with a server's address and whether it is connected, at each change.
    """

    def __init__(
        self,
        tls: Callable[[], ssl.SSLContext],
        authorize: Authorize,
        on_state: Callable[[str, bool], None] = lambda server, connected: None,
        timing: TunnelTiming = TIMING,
        retry: float = _RETRY,
    ) -> None:
        self._tls = tls
        self._authorize = authorize
        self._on_state = on_state
        self._timing = timing
        self._retry = retry
        self._wanted: frozenset[str] = frozenset()
        self._connected: set[str] = set()
        self._changed = asyncio.Event()

    def set_servers(self, servers: Iterable[str]) -> None:
        """Connect to these supervisors (``host:port``) from now on, and to no others."""
        self._wanted = frozenset(servers)
        self._changed.set()

    def connected(self, server: str) -> bool:
        return server in self._connected

    async def run(self) -> None:
        """Keep the sessions until cancelled."""
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
            tunnels: dict[str, asyncio.Task[None]] = {}
            while True:
                # Before `_wanted` is read: a list that arrives while tunnels are
                # being stopped starts another round.
                self._changed.clear()
                await _stop([tunnels.pop(server) for server in tunnels.keys() - self._wanted])
                for server in self._wanted - tunnels.keys():
                    tunnels[server] = tasks.create_task(self._keep(http, server))
                await self._changed.wait()

    async def _keep(self, http: aiohttp.ClientSession, server: str) -> None:
        """One supervisor, for as long as it is wanted."""
        told = ""
        while True:
            try:
                websocket = await self._connect(http, server)
            except TunnelError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("%s; trying again every %.0f s", told, self._retry)
            except Exception as error:  # whatever it is with this server: the tunnels to the others go on
                if repr(error) != told:
                    told = repr(error)
                    log.exception(
                        "tunnel to server %s failed; trying again every %.0f s", server, self._retry
                    )
            else:
                told = ""
                await self._serve(websocket, server)
            # Also after an orderly end: a supervisor that is restarting would be dialled in a tight loop.
            await asyncio.sleep(self._retry)

    async def _connect(self, http: aiohttp.ClientSession, server: str) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(_HANDSHAKE_LIMIT):
                return await http.ws_connect(
                    f"wss://{server}{_PATH}",
                    ssl=self._tls(),
                    # The session answers pings itself and counts them as signs
                    # of life; aiohttp would hide them.
                    autoping=False,
                    autoclose=False,
                    max_msg_size=MESSAGE_LIMIT,
                )
        except TimeoutError as error:
            raise TunnelError(
                f"tunnel to server {server}: no answer in {_HANDSHAKE_LIMIT:.0f} s",
                "check that this node reaches that address",
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise TunnelError(f"tunnel to server {server}: {reason_of(error)}") from error
        except (aiohttp.ClientError, OSError, ValueError, RKE2Error) as error:
            raise TunnelError(f"tunnel to server {server}: {error}") from error

    async def _serve(self, websocket: aiohttp.ClientWebSocketResponse, server: str) -> None:
        self._state(server, True)
        log.info("tunnel to server %s: open", server)
        try:
            log.info("%s", await Session(websocket, f"server {server}", self._authorize, self._timing).run())
        except Exception:  # the session is over; the next one begins from nothing
            log.exception("tunnel to server %s failed; trying again", server)
        finally:
            self._state(server, False)

    def _state(self, server: str, connected: bool) -> None:
        (self._connected.add if connected else self._connected.discard)(server)
        self._on_state(server, connected)


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel and wait, so that a server's old state is never told after its new one."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
