"""Certificates of an agent issued by the server it joins (supervisor reference §4.1, §4.5 and §5.4)."""

from __future__ import annotations

from http import HTTPStatus

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rke2.config.model import NodeSettings
from rke2.errors import JoinError
from rke2.join.client import Supervisor
from rke2.pki.catalog import Authority, Leaf, Names

NODE_NAME = "rke2-Node-Name"
NODE_PASSWORD = "rke2-Node-Password"
NODE_IP = "rke2-Node-IP"


class RemoteSigner:
    """A `rke2.pki.agent.Signer` on another machine.

    Args:
        password: the node's own (`rke2.join.credentials.ensure_node_password`).
    """

    def __init__(self, supervisor: Supervisor, node: NodeSettings, password: str) -> None:
        self._supervisor = supervisor
        self._node = node
        self._password = password

    async def bundle(self, authority: Authority) -> bytes:
        return await self._supervisor.certificates(f"{authority.file}.crt")

    async def sign(self, leaf: Leaf, csr: bytes) -> bytes:
        try:
            pem = await self._supervisor.sign(f"{leaf.file}.crt", csr, self._headers(leaf))
        except JoinError as error:
            # No node password is asked for where all nodes share a certificate: there 403 is about the token.
            if error.status == HTTPStatus.FORBIDDEN and _of_one_node(leaf):
                raise self._rejected(error) from error
            raise
        _require_own_key(f"{self._supervisor.url}: {leaf.file}.crt", pem, csr)
        return pem

    def _headers(self, leaf: Leaf) -> dict[str, str]:
        """Who this is; only for the certificates that name the node."""
        if not _of_one_node(leaf):
            return {}
        headers = {NODE_NAME: self._node.name, NODE_PASSWORD: self._password}
        if leaf.names is Names.KUBELET:
            headers[NODE_IP] = ",".join(map(str, (*self._node.ips, *self._node.external_ips)))
        return headers

    def _rejected(self, error: JoinError) -> JoinError:
        return JoinError(
            f"the cluster has a node named {self._node.name} already, with another node password ({error.message})",
            "give this node another node-name, or set with-node-id; if it is the same machine reinstalled, delete the "
            f"old one with `kubectl delete node {self._node.name}`; the password is in /etc/rancher/node/password",
            status=error.status,
        )


def _of_one_node(leaf: Leaf) -> bool:
    return "{node}" in leaf.common_name


def _require_own_key(what: str, pem: bytes, csr: bytes) -> None:
    """See that the answer certifies the key that was sent, before it replaces a file."""
    try:
        certified = x509.load_pem_x509_certificate(pem).public_key()
    except ValueError as error:
        raise JoinError(
            f"{what}: the answer holds no certificate", "is it the port of an RKE2 server?"
        ) from error
    requested = x509.load_der_x509_csr(csr).public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certified.public_bytes(*form) != requested.public_bytes(*form):
        raise JoinError(f"{what}: the certificate is for another key than this node's")
