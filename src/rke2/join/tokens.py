"""Cluster tokens: their grammar and the CA hash that ties them to one cluster.

Mirrors the supervisor reference §3.4 and §3.5::

    K10<ca hash>::<user>:<password>      full; the hash may be empty
    K10<ca hash>::<id>.<secret>          full bootstrap token
    <password>                           short; user and trust come from elsewhere
    <id>.<secret>                        bootstrap token without hash
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rke2.errors import ConfigError
from rke2.pki.chains import climb

_PREFIX = "K10"
_SEPARATOR = "::"
_BOOTSTRAP = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)
_HASH_LENGTH = 64


@dataclass(frozen=True)
class PasswordToken:
    """A token that authenticates as a user of the passwd file; `ca_hash` and `username` may be empty."""

    password: str
    username: str = ""
    ca_hash: str = ""

    def __str__(self) -> str:
        return f"{_PREFIX}{self.ca_hash}{_SEPARATOR}{self.username}:{self.password}"


@dataclass(frozen=True)
class BootstrapToken:
    """A token that is a Secret in kube-system; only agents join with it."""

    id: str
    secret: str
    ca_hash: str = ""

    def __str__(self) -> str:
        return f"{_PREFIX}{self.ca_hash}{_SEPARATOR}{self.id}.{self.secret}"


Token = PasswordToken | BootstrapToken


def parse_token(text: str) -> Token:
    """Parse any of the four forms. Surrounding white space is the caller's to remove.

    Raises:
        ConfigError: the text is not one of them. The message does not repeat the text, which is secret.
    """
    if not text:
        raise ConfigError("token must not be empty")
    if not text.startswith(_PREFIX):
        return _bootstrap(text, "") or PasswordToken(text)
    ca_hash, separator, credential = text.removeprefix(_PREFIX).partition(_SEPARATOR)
    if not separator:
        ca_hash, credential = "", ca_hash
    if len(ca_hash) not in (0, _HASH_LENGTH):
        raise ConfigError("invalid token CA hash length", "copy the whole token from the server's token file")
    return _bootstrap(credential, ca_hash) or _password(credential, ca_hash)


def _bootstrap(credential: str, ca_hash: str) -> BootstrapToken | None:
    match = _BOOTSTRAP.fullmatch(credential)
    return BootstrapToken(match[1], match[2], ca_hash) if match else None


def _password(credential: str, ca_hash: str) -> PasswordToken:
    username, _, password = credential.partition(":")
    if not password:
        raise ConfigError("invalid token format", "use K10<CA hash>::<user>:<password> or <password>")
    return PasswordToken(password, username, ca_hash)


def parse_server_token(text: str) -> PasswordToken:
    """Parse a token that servers share: bootstrap tokens are for agents only.

    Raises:
        ConfigError: as `parse_token`, or it is a bootstrap token.
    """
    token = parse_token(text)
    if isinstance(token, BootstrapToken):
        raise ConfigError(
            "a bootstrap token cannot be a server's token", "use the token of <data-dir>/server/token"
        )
    return token


def ca_hash(bundle: bytes) -> str:
    """The hash by which a token pins the cluster whose ``/cacerts`` serves `bundle`.

    One certificate is hashed as the PEM text it is served as. Of several, the root of the chain that starts with
    the first is hashed in DER, so that an issuing CA can be exchanged under the same root; the text again if there
    is no such chain. Expiry plays no part: a hash must not change by the passing of time.
    """
    try:
        certificates = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        certificates = []
    root = _find_root(certificates) if len(certificates) > 1 else None
    return hashlib.sha256(root.public_bytes(Encoding.DER) if root else bundle).hexdigest()


def _find_root(certificates: list[x509.Certificate]) -> x509.Certificate | None:
    first, *others = certificates
    roots = [candidate for candidate in others if _is_root(candidate)]
    intermediates = [candidate for candidate in others if candidate not in roots]
    return first if first in roots else climb([first], roots, intermediates)


def _is_root(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        # In this order: what is missing first decides. Without the signer's identifier it is a root, as for
        # RKE2; with that one alone it is not.
        signer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.AuthorityKeyIdentifier.oid
    return signer == own
