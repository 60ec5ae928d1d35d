"""Which names and addresses the certificates of a kubelet may carry.

Whoever holds an agent token may ask for them, and all that trusts the server CA trusts them. RKE2 certifies whatever is
asked for. Here three things are told apart:

- what is somebody else's is refused: names and addresses of servers, of Services, of other Nodes, of ``tls-san``;
- what is proven is certified: the address the request comes from, and those in the node's own Node object;
- the rest is left out, but for the first address of each family as long as the node has no Node object. With those the
  kubelet is about to register, and the API server is going to call it by them; a dual-stack node comes from one of its
  addresses only, one behind NAT or a load balancer from none. Nobody gains by that: whoever holds the token could
  register a Node with such an address and ask again.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address

from rke2.config.model import IPAddress, NodeConfig
from rke2.kube.nodes import is_server
from rke2.kube.objects import Object, age_of, annotations_of
from rke2.pki.names import AltNames, server_names
from rke2.supervisor.core import Core
from rke2.supervisor.node_addresses import addresses_of, canonical
from rke2.supervisor.status import StatusError, bad_request

_MOST_ADDRESSES = 16
_ADDRESS_ANNOTATIONS = ("rke2.io/internal-ip", "rke2.io/external-ip")


@dataclass(frozen=True)
class NameRequest:
    """What a node asks to be certified.

    Args:
        node: its name, which its password has proven.
        addresses: in the order in which the kubelet registers them.
        peer: the address that the request comes from; empty if the connection is gone.
    """

    node: str
    addresses: tuple[IPAddress, ...]
    peer: str


@dataclass(frozen=True)
class NameGrant:
    """What goes into the certificate, and what was asked for and does not."""

    names: AltNames
    left_out: tuple[IPAddress, ...] = ()


def read_addresses(header: str) -> tuple[IPAddress, ...]:
    """The addresses in a ``Node-IP`` header, IPv4 ones that are written as IPv6 as what they are.

    Raises:
        StatusError: 500 (as RKE2) if one is not an address, 400 if there are too many or no node can have one.
    """
    texts = [text.strip() for text in header.split(",") if text.strip()]
    if len(texts) > _MOST_ADDRESSES:
        raise bad_request(f"more than {_MOST_ADDRESSES} node IP addresses")
    try:
        found = tuple(ip_address(canonical(text)) for text in texts)
    except ValueError:
        raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "invalid node IP address") from None
    for address in found:
        if not _is_usable(address):
            raise bad_request(f"{address} is not an address that a node can have")
    return found


def _is_usable(address: IPAddress) -> bool:
    """What the kubelet takes as the address of its node; a zone would hide whose address it is."""
    return not (
        getattr(address, "scope_id", None)
        or address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
        or (address.version == 4 and address.is_reserved)
    )


# --- names -----------------------------------------------------------------------------------------
def require_free_name(config: NodeConfig, core: Core | None, node: str) -> None:
    """See that no certificate for the node name `node` would be one for something else.

    Raises:
        StatusError: 400.
    """
    if whose := _owner_of_name(config, core, node):
        raise bad_request(f"{node!r} cannot be the name of a node: it is {whose}")


def _owner_of_name(config: NodeConfig, core: Core | None, node: str) -> str:
    domain = config.network.cluster_domain
    if node == "localhost" or node.endswith(".localhost"):
        return "a name of every machine"
    if node == "kubernetes" or node.startswith("kubernetes."):
        return "a name of the Kubernetes API"
    if node == domain or node.endswith((f".{domain}", ".svc")):
        return "a name of the cluster's services"
    # Here, between both: the names above are nobody's, not even a server's; those below are its own to have.
    if _is_server_node(config, core, node):
        return ""
    if node in map(str.lower, config.network.tls_sans):
        return "a name of the servers (tls-san)"
    if node in server_names(config).dns:
        return f"a name of server {config.node.name}"
    return _other_node_named(core, node) if core else ""


def _is_server_node(config: NodeConfig, core: Core | None, node: str) -> bool:
    """Whether `node` is this server or another one; no kubelet can give itself the label of a server."""
    own = core.node(node) if core else None
    return node == config.node.name or (own is not None and is_server(own))


def _other_node_named(core: Core, node: str) -> str:
    """Another Node that goes by this name; a Node that is there has its name, whatever others say of themselves."""
    if core.node(node):
        return ""
    if others := core.addresses.owners(node):
        return f"a host name of Node {min(others)}"
    for key, other in core.nodes.objects.items():
        if key.name.partition(".")[0] == node and is_server(other):
            return f"a name of server {key.name}"
    return ""


# --- addresses -------------------------------------------------------------------------------------
def grant(config: NodeConfig, core: Core | None, request: NameRequest) -> NameGrant:
    """What a serving certificate for `request` may carry.

    Raises:
        StatusError: 400, one of the addresses is somebody else's.
    """
    own = core.node(request.node) if core else None
    # A node that is called like an address is certified for that one, so it has to be free as well.
    wanted = tuple(dict.fromkeys((*request.addresses, *_addresses_in(request.node))))
    for address in wanted:
        if whose := _owner_of_address(config, core, request.node, address):
            raise bad_request(f"{address} cannot be an address of node {request.node!r}: it is {whose}")
    certified = _proven(own, request.peer) | (frozenset() if own else _first_of_each_family(wanted))
    dns = [] if _addresses_in(request.node) else [request.node]
    given = [address for address in wanted if address in certified]
    return NameGrant(
        AltNames.of(*dns, "localhost", "127.0.0.1", *given),
        tuple(address for address in wanted if address not in certified),
    )


def _addresses_in(name: str) -> tuple[IPAddress, ...]:
    """A node may be called like an address, which a certificate then carries as one."""
    try:
        return (ip_address(name),)
    except ValueError:
        return ()


def _proven(own: Object | None, peer: str) -> frozenset[IPAddress]:
    texts = {peer, *(addresses_of(own) | _annotated(own) if own else ())}
    return frozenset(address for text in texts for address in _addresses_in(canonical(text)))


def _annotated(node: Object) -> frozenset[str]:
    """Addresses that RKE2 puts on its Node for a cloud controller."""
    notes = annotations_of(node)
    return frozenset(part for key in _ADDRESS_ANNOTATIONS for part in str(notes.get(key, "")).split(","))


def _first_of_each_family(addresses: tuple[IPAddress, ...]) -> frozenset[IPAddress]:
    # Reversed, so that the first one of a family is the one that stays.
    return frozenset({address.version: address for address in reversed(addresses)}.values())


def _owner_of_address(config: NodeConfig, core: Core | None, node: str, address: IPAddress) -> str:
    if any(address in cidr for cidr in config.network.service_cidrs):
        return "a service address"
    if _is_servers_own(config, core, node, address):
        return ""
    if address in AltNames.of(*config.network.tls_sans).ips:
        return "an address of the servers (tls-san)"
    if address in server_names(config).ips:
        return f"an address of server {config.node.name}"
    return _other_node_at(core, node, address) if core else ""


def _is_servers_own(config: NodeConfig, core: Core | None, node: str, address: IPAddress) -> bool:
    """Whether the node is a server, and the address is that server's."""
    if node == config.node.name:
        return address in (*config.node.ips, *config.node.external_ips)
    own = core.node(node) if core else None
    return own is not None and is_server(own) and str(address) in addresses_of(own)


def _other_node_at(core: Core, node: str, address: IPAddress) -> str:
    """Who else has the address. If two Nodes say so it is the older one's: nobody takes it from another.

    Of the same second, neither is older.
    """
    own = core.node(node)
    mine = own if own and str(address) in addresses_of(own) else None
    for name in sorted(core.addresses.owners(str(address)) - {node}):
        other = core.node(name)
        if other and not (mine and not is_server(other) and _created(mine) < _created(other)):
            return f"an address of Node {name}; if that machine is gone, delete its Node"
    if any(_host(endpoint) == address for endpoint in core.apiservers()):
        return "the address of an API server"
    return ""


def _created(node: Object) -> str:
    # As text: Kubernetes writes all of them in UTC and to the second, so they sort as the moments do.
    created, _ = age_of(node)
    return created


def _host(endpoint: str) -> IPAddress:
    return ip_address(endpoint.rpartition(":")[0].strip("[]"))
