"""The routes that issue certificates to agents (supervisor reference §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.pki.authority import Subject, find_authority
from rke2.pki.catalog import AGENT_LEAVES, Leaf, Names
from rke2.pki.names import AltNames
from rke2.pki.pem import certificate_path, ensure_key, key_path, key_pem
from rke2.supervisor.calls import Call
from rke2.supervisor.handlers import Context
from rke2.supervisor.status import StatusError, bad_request

_LEAVES: Mapping[str, Leaf] = {f"{leaf.file}.crt": leaf for leaf in AGENT_LEAVES}
_OF_ONE_NODE = "{node}"


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


async def issue(context: Context, call: Call) -> web.Response:
    """Answer a signing request, or what an old agent sends instead, with a certificate."""
    leaf = _LEAVES[call.path.rpartition("/")[2]]
    node = await context.node_passwords.identify(call) if _OF_ONE_NODE in leaf.common_name else ""
    subject = Subject(leaf.common_name.format(node=node), leaf.organization)
    order = Order(leaf, subject, _names(leaf, node, call), _public_key(await call.body()))
    return web.Response(body=await asyncio.to_thread(sign, context.config, order), content_type="text/plain")


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
    key = None if order.public_key else ensure_key(key_path(tls / order.leaf.file))
    public_key = order.public_key or (key.public_key() if key else None)
    assert public_key is not None
    pem = authority.sign(public_key, order.subject, order.leaf.usage, order.names)
    return pem + key_pem(key) if key else pem


def _names(leaf: Leaf, node: str, call: Call) -> AltNames:
    if leaf.names is not Names.KUBELET:
        return AltNames()
    try:
        ips = [ip_address(text.strip()) for text in call.node_header("IP").split(",") if text.strip()]
    except ValueError:
        raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "invalid node IP address") from None
    return AltNames.of(node, "localhost", "127.0.0.1", *ips)


def _public_key(body: bytes) -> CertificatePublicKeyTypes | None:
    """The key in a DER PKCS#10 request, None if the body is none: the client is an old agent.

    Raises:
        StatusError: 400, the request is not signed by its own key, or with one that cannot be certified.
    """
    try:
        csr = x509.load_der_x509_csr(body)
    except ValueError:
        return None
    try:
        signed, key = csr.is_signature_valid, csr.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise bad_request("the key of the certificate signing request is not supported") from None
    if not signed:
        raise bad_request("the certificate signing request is not signed by its key")
    return key
