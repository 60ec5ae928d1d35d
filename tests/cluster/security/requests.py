"""Certificate signing requests, good ones and others."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

Key = CertificateIssuerPrivateKeyTypes

_WITHOUT_HASH = (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)


def signing_request(
    key: Key | None = None,
    name: str = "system:admin",
    group: str = "system:masters",
    names: Sequence[str] = (),
) -> bytes:
    """A request in DER; what it says of its name must not matter.

    Args:
        names: DNS names it asks for.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = [
        x509.NameAttribute(NameOID.COMMON_NAME, name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    authority = x509.BasicConstraints(ca=True, path_length=None)
    builder = builder.add_extension(authority, critical=True)
    if names:
        asked = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(asked, critical=False)
    digest = None if isinstance(key, _WITHOUT_HASH) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def forged() -> bytes:
    """A request whose signature is another key's."""
    good = bytearray(signing_request())
    good[-1] ^= 1
    return bytes(good)


GOOD_KEYS: dict[str, Key] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "RSA 2048": rsa.generate_private_key(65537, 2048),
}

WEAK_KEYS: dict[str, Key] = {
    "P-192": ec.generate_private_key(ec.SECP192R1()),
    "P-224": ec.generate_private_key(ec.SECP224R1()),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "brainpool": ec.generate_private_key(ec.BrainpoolP256R1()),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "RSA 1024": rsa.generate_private_key(65537, 1024),
}
"""Keys that are broken, or that Kubernetes' TLS does not know."""
