"""What a request says of the node it comes from; the one place where such names are checked.

Mirrors the supervisor reference §4.1 and the first two steps of §4.2. A name that is in a `NodeClaim` is a valid name
of a Node, so it may become part of a Secret's name, a certificate, an event and a line of the log.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from rke2.config.names import is_dns_name
from rke2.supervisor.authentication import NODE_NAME_PREFIX, NODES_GROUP, presented
from rke2.supervisor.calls import Call, peer_address
from rke2.supervisor.status import bad_request

_LONGEST_NODE_NAME = 64 - len(NODE_NAME_PREFIX)
"""A common name in X.509 has at most 64 characters."""
_LONGEST_PASSWORD = 256
"""Characters; nodes make passwords of 32."""


@dataclass(frozen=True)
class NodeClaim:
    """A node's name, and what is to prove that the request is that node's.

    Args:
        node: a valid name of a Node, lower case.
        address: the client's.
        authenticated: the request has no credentials but the node's own certificate.
        certified: the client presents the certificate ``system:node:<node>``, whatever else it authenticates with.
        from_this_machine: the client is on the machine of this supervisor.
    """

    node: str
    password: str = field(repr=False)
    address: str = ""
    authenticated: bool = False
    certified: bool = False
    from_this_machine: bool = False

    def same_password(self, other: str) -> bool:
        return hmac.compare_digest(_bytes(self.password), _bytes(other))


def claim_of(call: Call) -> NodeClaim:
    """Read and check the node headers.

    Raises:
        StatusError: 400, a header is missing or is not valid, or names another node than the client's certificate
            that the request is authenticated with.
    """
    given, password = call.node_header("Name"), call.node_header("Password")
    if not given:
        raise bad_request("node name not set")
    if not password:
        raise bad_request("node password not set")
    # Some letters outside of ASCII are ASCII in lower case.
    node = given.lower()
    if not (given.isascii() and is_dns_name(node)):
        raise bad_request("node name not valid")
    if len(node) > _LONGEST_NODE_NAME:
        raise bad_request(f"node name longer than {_LONGEST_NODE_NAME} characters")
    # Before anything is hashed with it, or it is kept until the API answers.
    if len(password) > _LONGEST_PASSWORD:
        raise bad_request(f"node password longer than {_LONGEST_PASSWORD} characters")
    authenticated = call.identity.node if call.identity else ""
    if authenticated and authenticated != node:
        raise bad_request("header node name does not match auth node name")
    return NodeClaim(
        node,
        password,
        peer_address(call.request),
        authenticated=bool(authenticated),
        certified=_certified(call, node),
        from_this_machine=call.from_this_machine,
    )


def _certified(call: Call, node: str) -> bool:
    """Agents send their token *and* present their certificate; the token alone decides whom they authenticate as."""
    identity = presented(call.request)
    return identity is not None and identity.node == node and NODES_GROUP in identity.groups


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
