"""The sockets of port 9345: the bind address, and loopback always, because the node's own processes use it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from ipaddress import ip_address

from rke2.errors import ConfigError, HostError
from rke2.host.ports import find_listener
from rke2.lifecycle.service import Up

_BACKLOG = 1024


class SupervisorListener:
    """One of the sockets as a service: whenever it is started again, with a socket of its own.

    Args:
        opened: the socket of the first run.
        accept: accepts its connections until cancelled.
    """

    def __init__(self, opened: socket.socket, accept: Callable[[socket.socket], Awaitable[None]]) -> None:
        self._host, self._port = opened.getsockname()[:2]
        self._opened: socket.socket | None = opened
        self._accept = accept
        self.name = f"supervisor: {self._host} port {self._port}"

    async def run(self, up: Up) -> None:
        """Accept until cancelled.

        Raises:
            HostError: the socket cannot be opened again.
        """
        # Used once: the next run must not get a socket that this one has closed.
        opened, self._opened = self._opened or _listen(self._host, self._port), None
        try:
            up()
            await self._accept(opened)
        finally:
            opened.close()


def listen(bind_address: str, port: int) -> list[socket.socket]:
    """Listen on `port` of `bind_address`; an unspecified address means all of both families.

    Args:
        port: 0 takes a free one, the same for all sockets.

    Raises:
        HostError: the port is in use; names the holder if it can be seen.
        ConfigError: `bind_address` is not an address of this machine.
    """
    sockets: list[socket.socket] = []
    with ExitStack() as opened:
        for host in _hosts(bind_address):
            listener = _listen(host, port)
            # Closed again if the next one cannot be opened: a failed start leaves no port behind.
            opened.enter_context(listener)
            sockets.append(listener)
            port = listener.getsockname()[1]
        # All are open: from here on they are the caller's to close.
        opened.pop_all()
    return sockets


def _hosts(bind_address: str) -> list[str]:
    if not bind_address or ip_address(bind_address).is_unspecified:
        return ["0.0.0.0", "::"] if _has_ipv6() else ["0.0.0.0"]
    return list(dict.fromkeys([bind_address, loopback_of(bind_address)]))


def loopback_of(bind_address: str) -> str:
    """The loopback address that is listened on whatever the bind address is."""
    listed = bind_address and not ip_address(bind_address).is_unspecified
    return "::1" if listed and ip_address(bind_address).version == 6 else "127.0.0.1"


def _has_ipv6() -> bool:
    """Whether the kernel offers IPv6 (``ipv6.disable=1`` takes it away)."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # create_server() makes IPv6 sockets IPv6-only, so the two unspecified addresses do not collide.
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _explain(error, host, port) from error


def _explain(error: OSError, host: str, port: int) -> HostError | ConfigError:
    if error.errno == errno.EADDRINUSE:
        holder = find_listener(port)
        by = f" by {holder}" if holder else ""
        return HostError(f"port {port}, which the supervisor needs, is in use{by}", "stop that process")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"bind-address: {host} is not an address of this machine")
    return HostError(f"the supervisor cannot listen on {host} port {port}: {error.strerror}")
