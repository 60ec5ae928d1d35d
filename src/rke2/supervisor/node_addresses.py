"""Which Node has which address: an index over the Nodes, kept as they change."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from ipaddress import ip_address

from rke2.host.addresses import unmapped
from rke2.kube.informer import Change, Informer
from rke2.kube.objects import Object

_ADDRESS_TYPES = frozenset({"InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"})


class NodeAddresses:
    """Addresses and host names in the status of all Nodes."""

    def __init__(self, nodes: Informer) -> None:
        self._of: dict[str, frozenset[str]] = {}
        self._owners: defaultdict[str, set[str]] = defaultdict(set)
        nodes.listen(self._take)

    def __contains__(self, address: str) -> bool:
        """Whether any Node has `address`."""
        return canonical(address) in self._owners

    def owners(self, address: str) -> frozenset[str]:
        """Names of the Nodes that have `address`; several may say so."""
        return frozenset(self._owners.get(canonical(address), ()))

    def of(self, node: str) -> frozenset[str]:
        """What the Node named `node` has; empty if there is none."""
        return self._of.get(node, frozenset())

    def _take(self, change: Change) -> None:
        name = change.key.name
        new = addresses_of(change.new) if change.new else frozenset()
        for address in self._of.pop(name, frozenset()) - new:
            self._owners[address].discard(name)
            if not self._owners[address]:
                del self._owners[address]
        if change.new:
            self._of[name] = new
        for address in new:
            self._owners[address].add(name)


def addresses_of(node: Object) -> frozenset[str]:
    """Addresses and names in the status of `node`, in one form each."""
    listed = (node.get("status") or {}).get("addresses") or []
    told = (entry.get("address") for entry in listed if entry.get("type") in _ADDRESS_TYPES)
    return frozenset(canonical(address) for address in told if address)


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    """An address or a host name in the one form in which it can be compared."""
    try:
        return str(unmapped(ip_address(text)))
    except ValueError:
        return text.lower()
