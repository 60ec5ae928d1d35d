"""The routes that issue certificates to agents (supervisor reference §4).

Each one that is issued is logged: what, to whom, from where.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.pki.authority import Subject, find_authority
from rke2.pki.catalog import AGENT_LEAVES, Leaf, Names
from rke2.pki.names import AltNames
from rke2.pki.pem import certificate_path, ensure_key, key_path, key_pem
from rke2.pki.services import SHARED_KEYS
from rke2.supervisor import kubelet_names
from rke2.supervisor.calls import Call, peer_address
from rke2.supervisor.claims import claim_of
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.kubelet_names import NameGrant, read_addresses, require_free_name
from rke2.supervisor.node_passwords import NodePasswords
from rke2.supervisor.refusals import printable
from rke2.supervisor.signing_requests import public_key
from rke2.supervisor.status import bad_request

log = logging.getLogger(__name__)

_LEAVES: Mapping[str, Leaf] = {f"{leaf.file}.crt": leaf for leaf in AGENT_LEAVES}
_OF_ONE_NODE = "{node}"
_NO_REQUEST = (
    "the body is not a certificate signing request (PKCS #10 in DER); to agents that send none, this server gives a "
    "certificate only with shared-agent-keys"
)


@dataclass(frozen=True)
class Order:
    """A certificate to be made.

    Args:
        public_key: of the client; None makes use of the key all old agents share.
    """

    leaf: Leaf
    subject: Subject
    names: AltNames
    public_key: CertificatePublicKeyTypes | None


class CertificateHandlers:
    """Answers signing requests.

    Args:
        config: the server's own configuration; its CAs sign.
        core: empty until the Kubernetes API answers.
        node_passwords: tell whether a request comes from the node that it names.
    """

    def __init__(self, config: NodeConfig, core: CoreSlot, node_passwords: NodePasswords) -> None:
        self._config, self._core, self._node_passwords = config, core, node_passwords

    async def issue(self, call: Call) -> web.Response:
        """Answer a signing request with a certificate; what an old agent sends instead only if that is allowed."""
        leaf = _LEAVES[call.path.rpartition("/")[2]]
        node = await self._identify(call) if _OF_ONE_NODE in leaf.common_name else ""
        key = await _public_key(self._config, call)
        grant = self._grant(leaf, node, call)
        subject = Subject(leaf.common_name.format(node=node), leaf.organization)
        order = Order(leaf, subject, grant.names, key)
        # Off the event loop: the CA is read from its files each time, so that an exchanged one signs at once.
        pem = await asyncio.to_thread(sign, self._config, order)
        _tell(call, order, grant, x509.load_pem_x509_certificate(pem))
        return web.Response(body=pem, content_type="text/plain")

    async def _identify(self, call: Call) -> str:
        # The name first: for one that no node may have, no password is kept.
        require_free_name(self._config, self._core.current, claim_of(call).node)
        return await self._node_passwords.identify(call)

    def _grant(self, leaf: Leaf, node: str, call: Call) -> NameGrant:
        if leaf.names is not Names.KUBELET:
            return NameGrant(AltNames())
        addresses = read_addresses(call.node_header("IP"))
        request = kubelet_names.NameRequest(node, addresses, peer_address(call.request))
        return kubelet_names.grant(self._config, self._core.current, request)


async def _public_key(config: NodeConfig, call: Call) -> CertificatePublicKeyTypes | None:
    key = await asyncio.to_thread(public_key, await call.body())
    if key is None and not (config.server and config.server.shared_agent_keys):
        raise bad_request(_NO_REQUEST)
    return key


def sign(config: NodeConfig, order: Order) -> bytes:
    """Certificate and CA bundle in PEM; for an old agent also the shared key.

    Raises:
        PKIError: the CA or the shared key cannot be used.
    """
    tls = config.paths.tls
    authority = find_authority(tls, order.leaf.authority)
    if authority is None:
        raise PKIError(
            f"{certificate_path(tls / order.leaf.authority.file)} is missing", "start the server again"
        )
    # RKE2 hands out keys from `tls` itself, one of which is the server's own kube-proxy's.
    key = None if order.public_key else ensure_key(key_path(tls / SHARED_KEYS / order.leaf.file))
    public_key = order.public_key or (key.public_key() if key else None)
    assert public_key is not None
    pem = authority.sign(public_key, order.subject, order.leaf.usage, order.names)
    return pem + key_pem(key) if key else pem


def _tell(call: Call, order: Order, grant: NameGrant, issued: x509.Certificate) -> None:
    shared = order.public_key is None
    log.log(
        logging.WARNING if shared else logging.INFO,
        "Issued %s.crt to %s at %s%s: %s, serial %x, valid until %s%s",
        order.leaf.file,
        printable(call.identity.name if call.identity else "nobody"),
        peer_address(call.request) or "an address that is gone",
        ", with a private key that others share" if shared else "",
        " ".join([order.subject.common_name, *order.names.entries()]),
        issued.serial_number,
        f"{issued.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
        f"; left out, because not proven: {' '.join(map(str, grant.left_out))}" if grant.left_out else "",
    )
