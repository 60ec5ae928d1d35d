"""The certificates of a node's agent half: copies of the CA bundles and leaves signed on request.

Who signs is a `Signer`: on a server its own CAs (`LocalSigner`), on an agent the supervisor it joins. Keys never
leave the node; what is handed out is a signing request, of which only the public key counts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.authority import SigningAuthority, find_authority
from rke2.pki.catalog import AGENT_BUNDLES, AGENT_LEAVES, AGENT_MODE, Authority, Leaf
from rke2.pki.issue import Pair, Wanted
from rke2.pki.pem import (
    Certificates,
    PrivateKey,
    certificate_path,
    ensure_key,
    parse_certificates,
    read_certificates,
)
from rke2.pki.renewed import repair, replace_certificate
from rke2.pki.report import PKIReport, Recorder


class Signer(Protocol):
    """Issues the leaves of one node's agent."""

    async def bundle(self, authority: Authority) -> bytes:
        """The PEM certificates of a CA, as ``/v1-rke2/{client,server}-ca.crt`` serve them."""

    async def sign(self, leaf: Leaf, csr: bytes) -> bytes:
        """Issue `leaf` for the public key in `csr` (DER PKCS#10).

        Returns:
            PEM: the certificate followed by the CA's bundle.
        """


class LocalSigner:
    """Signs with this server's own CAs, which `ensure_server_pki` has made."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    async def bundle(self, authority: Authority) -> bytes:
        return self._authority(authority).bundle.pem

    async def sign(self, leaf: Leaf, csr: bytes) -> bytes:
        wanted = Wanted.on_node(leaf, self._config)
        public_key = x509.load_der_x509_csr(csr).public_key()
        return self._authority(leaf.authority).sign(public_key, wanted.subject, wanted.usage, wanted.names)

    def _authority(self, authority: Authority) -> SigningAuthority:
        tls = self._config.paths.tls
        found = find_authority(tls, authority)
        if found is None:
            raise PKIError(f"{certificate_path(tls / authority.file)} is missing", "start the server again")
        return found


async def ensure_agent_pki(config: NodeConfig, signer: Signer) -> PKIReport:
    """Bring the certificates in ``<dd>/agent`` up to date.

    Leaves are asked for only when the ones on disk are missing, about to expire or no longer fit; a second
    call with the same configuration writes nothing.

    Raises:
        PKIError: a file on disk cannot be used (nothing was written then) or an answer of the signer cannot.
        OSError: the directory cannot be written.
    """
    agent, recorder = config.paths.agent, Recorder()
    repair(config.paths)
    pairs = {leaf: Pair.read(agent / leaf.file) for leaf in AGENT_LEAVES}
    bundles = {authority: await _fetch_bundle(config, authority, signer) for authority in AGENT_BUNDLES}

    ensure_dir(agent, 0o750)
    for bundle in bundles.values():
        written = write_atomic(bundle.path, bundle.pem, AGENT_MODE)
        recorder.created(bundle.path) if written else recorder.kept(bundle.path)
    for leaf, pair in pairs.items():
        await _ensure_leaf(config, leaf, pair, bundles[leaf.authority], signer, recorder)
    return recorder.report()


async def renew_agent_leaves(config: NodeConfig, signer: Signer, before: timedelta) -> PKIReport:
    """Renew what ends within `before`, or is not as it should be, of the leaves that are there, while the node runs.

    The signer is asked only if there is something to renew. Bundles are left as they are.

    Raises:
        PKIError, OSError: as of `ensure_agent_pki`.
        JoinError: the signer is a server that refuses or does not answer.
    """
    recorder = Recorder()
    for leaf in AGENT_LEAVES:
        pair = Pair.read(config.paths.agent / leaf.file)
        bundle = read_certificates(certificate_path(config.paths.agent / leaf.authority.file))
        if bundle and pair.is_whole:
            await _ensure_leaf(config, leaf, pair, bundle, signer, recorder, before)
    return recorder.report()


async def _ensure_leaf(
    config: NodeConfig,
    leaf: Leaf,
    pair: Pair,
    bundle: Certificates,
    signer: Signer,
    recorder: Recorder,
    before: timedelta | None = None,
) -> None:
    reason = pair.stale(Wanted.on_node(leaf, config), bundle, before)
    if reason:
        pem = await signer.sign(leaf, _signing_request(ensure_key(pair.key_path)))
        replace_certificate(config.paths, pair.certificate_path, pem, AGENT_MODE)
        recorder.issued(pair.certificate_path, reason)
    else:
        pair.restore_modes(AGENT_MODE)
        recorder.kept(pair.certificate_path)


async def _fetch_bundle(config: NodeConfig, authority: Authority, signer: Signer) -> Certificates:
    path = certificate_path(config.paths.agent / authority.file)
    return parse_certificates(path, await signer.bundle(authority))


def _signing_request(key: PrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
