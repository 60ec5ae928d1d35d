"""How many connections to port 9345 may be open that have not authenticated.

They are counted in all, and for each client: an IPv4 address, or an IPv6 network of 64 bits, which one host has all
of. Whatever others do, there are places for the addresses of the cluster's Nodes and of this machine: a node that comes
back must get in. Those are counted one by one, since nodes of one network share their 64 bits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

from rke2.host.addresses import unmapped

_MOST = 1024
_MOST_OF_ONE_CLIENT = 256
_KEPT_FOR_NODES = 512
_MOST_OF_ONE_NODE = 64
"""Pods of a node may come with its address, so one node must not have all that is kept."""
_IPV6_BITS = 64


class Place:
    """A place among the unauthenticated connections; freed by authenticating or by going away, whichever comes first.

    Args:
        leave: called then.
    """

    def __init__(self, leave: Callable[[], None] = lambda: None) -> None:
        self._leave: Callable[[], None] | None = leave
        self._detained_until = 0.0

    def detain(self, seconds: float) -> None:
        """Keep the place taken for so long, even if the client goes away."""
        self._detained_until = asyncio.get_running_loop().time() + seconds

    def free(self) -> None:
        leave, self._leave = self._leave, None
        if not leave:
            return
        if not self._detained_until:
            leave()
            return
        loop = asyncio.get_running_loop()
        loop.call_at(max(self._detained_until, loop.time()), leave)


class _Places:
    """Places, of which one client may have a part."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._taken: Counter[str] = Counter()

    def enter(self, client: str) -> Place | None:
        if len(self) >= self._most or self._taken[client] >= self._most_of_one:
            return None
        self._taken[client] += 1
        return Place(lambda: self._leave(client))

    def __len__(self) -> int:
        return self._taken.total()

    def _leave(self, client: str) -> None:
        self._taken[client] -= 1
        # Else a count of zero would be kept for every client that was ever here.
        if not self._taken[client]:
            del self._taken[client]


class UnauthenticatedConnections:
    """Gives places to connections until they have authenticated.

    Args:
        most: for all that are no nodes.
        most_of_one: for one client.
        kept: for all addresses of nodes; a node that finds none free may still take one of the others.
        is_node: whether an address is a Node's or this machine's; must not block.
    """

    def __init__(
        self,
        most: int = _MOST,
        most_of_one: int = _MOST_OF_ONE_CLIENT,
        kept: int = _KEPT_FOR_NODES,
        is_node: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self._others = _Places(most, most_of_one)
        self._nodes = _Places(kept, min(most_of_one, _MOST_OF_ONE_NODE))
        self._is_node = is_node

    def enter(self, address: str) -> Place | None:
        """A place for a connection from `address`, None if there is none."""
        kept = self._nodes.enter(address) if self._is_node(address) else None
        return kept or self._others.enter(client_of(address))

    def __len__(self) -> int:
        return len(self._others) + len(self._nodes)


def client_of(address: str) -> str:
    """Who is counted as one: an IPv4 address, or the network from which an IPv6 host chooses its addresses."""
    parsed = unmapped(ip_address(address))
    if parsed.version == 4:
        return str(parsed)
    return f"{parsed.packed[: _IPV6_BITS // 8].hex()}::/{_IPV6_BITS}"
