"""The serving certificate of port 9345, as stored as a Secret in ``tls/dynamic-cert.json``.

Mirrors the supervisor reference §1.1. It lives outside the certificate catalog because it gains names at run time;
names it has gained are kept when it is renewed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.host.files import write_atomic
from rke2.pki.authority import SigningAuthority, Subject, find_authority
from rke2.pki.catalog import SERVER_CA, Usage
from rke2.pki.issue import issued_by
from rke2.pki.lifetime import renew_before
from rke2.pki.names import AltNames, server_names
from rke2.pki.pem import PrivateKey, certificate_path, key_pem, new_ec_key, read_file
from rke2.pki.rotation import REGENERATE

log = logging.getLogger(__name__)

FILE = "dynamic-cert.json"

SUBJECT = Subject("rke2", "rke2")
NAME = "rke2-serving"
NAMESPACE = "kube-system"
_ANNOTATION = "listener.cattle.io"
_LONGEST_KEY = 63
"""Of the whole key: its prefix ``listener.cattle.io/cn-`` counts."""
_KEPT_OF_LONG_KEY = 56


@dataclass(frozen=True)
class ServingCertificate:
    """PEM of the certificate with its CA bundle, and of its key."""

    certificate: bytes
    key: bytes

    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def names(self) -> AltNames:
        """What it names."""
        return AltNames.read(self.parsed())

    def secret(self) -> dict[str, Any]:
        """The Secret that keeps it, as RKE2 writes it to disk and into kube-system."""
        return {
            "kind": "Secret",
            "apiVersion": "v1",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": self._annotations()},
            "data": {"tls.crt": _base64(self.certificate), "tls.key": _base64(self.key)},
            "type": "kubernetes.io/tls",
        }

    def _annotations(self) -> dict[str, str]:
        leaf = self.parsed()
        names = {annotation_key(san): san for san in self.names.entries()}
        fingerprint = leaf.fingerprint(hashes.SHA1()).hex().upper()
        return dict(sorted({**names, f"{_ANNOTATION}/fingerprint": f"SHA1={fingerprint}"}.items()))

    @classmethod
    def from_secret(cls, secret: Any) -> ServingCertificate:
        """Read what `secret` made.

        Raises:
            ValueError: it is something else, or the key is another certificate's.
        """
        try:
            data = secret["data"]
            found = cls(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no {error} in it") from error
        # The Secret is writable by more than this server: a pair that does not fit would end every handshake.
        if found.private_key().public_key() != found.parsed().public_key():
            raise ValueError("the key is another certificate's")
        return found

    def private_key(self) -> PrivateKey:
        """Raises ValueError if it cannot sign here."""
        key = serialization.load_pem_private_key(self.key, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, PrivateKey):
            raise ValueError(f"the key is a {type(key).__name__}")
        return key


def annotation_key(san: str) -> str:
    """The annotation key of `san`, which allows neither ``:`` nor ``*`` nor any length.

    The same as dynamiclistener's (0.10.1), which takes a Secret with other keys for one that lacks the name, and
    issues a new certificate: prefix and name are cut, and hashed, as one.
    """
    key = f"{_ANNOTATION}/cn-{san}"
    if len(key) <= _LONGEST_KEY and not re.search(r"[:*]", san):
        return key
    readable = re.sub(r"[:*]", "_", key)[:_KEPT_OF_LONG_KEY]
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:6]}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def initial_names(config: NodeConfig) -> AltNames:
    """The names the certificate has from the start."""
    bind = config.network.bind_address
    specific = [bind] if bind and not ip_address(bind).is_unspecified else []
    return server_names(config) | AltNames.of(*specific)


def ensure_serving_certificate(config: NodeConfig) -> ServingCertificate:
    """The stored certificate if it still serves, else a new one, stored; needs the CAs of `ensure_server_pki`.

    Raises:
        PKIError: the server CA cannot be used.
    """
    tls = config.paths.tls
    authority, marker, wanted = serving_authority(config), tls / REGENERATE, initial_names(config)
    existing = None if marker.exists() else _stored(tls / FILE)
    if existing and serves(existing, wanted, authority):
        return existing
    gained = existing.names if existing else AltNames()
    certificate = issue(authority, wanted | gained)
    store(config, certificate)
    # In this order: a start that is killed in between makes
    # another one, and does not keep the one that was to go.
    marker.unlink(missing_ok=True)
    return certificate


def store(config: NodeConfig, certificate: ServingCertificate) -> None:
    """Keep `certificate` for the next start."""
    content = json.dumps(certificate.secret(), separators=(",", ":"))
    write_atomic(config.paths.tls / FILE, content, 0o600)


def serving_authority(config: NodeConfig) -> SigningAuthority:
    """The server CA.

    Raises:
        PKIError: it is missing or cannot be used.
    """
    tls = config.paths.tls
    authority = find_authority(tls, SERVER_CA)
    if authority is None:
        raise PKIError(f"{certificate_path(tls / SERVER_CA.file)} is missing", "start the server again")
    return authority


def _stored(path: Path) -> ServingCertificate | None:
    text = read_file(path)
    if text is None:
        return None
    try:
        stored = ServingCertificate.from_secret(json.loads(text))
    except (ValueError, TypeError) as error:
        log.warning("%s is unreadable and is made again: %s", path, error)
        return None
    return stored


def serves(certificate: ServingCertificate, wanted: AltNames, authority: SigningAuthority) -> bool:
    """Whether `certificate` is of `authority`, names all of `wanted` and need not be renewed yet."""
    leaf = certificate.parsed()
    fresh = leaf.not_valid_after_utc - datetime.now(UTC) >= renew_before()
    return fresh and certificate.names.covers(wanted) and issued_by(leaf, authority.bundle.first)


def issue(authority: SigningAuthority, names: AltNames, key: PrivateKey | None = None) -> ServingCertificate:
    """A certificate for `names`, with a new key unless one is given."""
    key = key or new_ec_key()
    return ServingCertificate(authority.sign(key.public_key(), SUBJECT, Usage.SERVER, names), key_pem(key))
