"""Certificate authorities as an administrator might supply them, and certificates that are their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from rke2.pki.pem import key_pem

YEAR = timedelta(days=365)


_SIGN = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
_CERT_SIGN = x509.KeyUsage(True, False, False, False, False, True, False, False, False)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certify(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = True,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> x509.Certificate:
    """A CA certificate (or one that is not, with `ca` false) with the usual key identifiers."""
    now = datetime.now(UTC)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = x509.CertificateBuilder(
        name_of(issuer),
        name_of(subject),
        key.public_key(),
        x509.random_serial_number(),
        begin or now - timedelta(hours=1),
        end or now + YEAR,
    )
    builder = builder.add_extension(_CERT_SIGN if ca else _SIGN, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    return builder.add_extension(authority, critical=False).sign(issuer_key, hashes.SHA256())


def own_authority(name: str, address: x509.GeneralName) -> tuple[bytes, bytes]:
    """A new certificate of a server at `address` that is its own authority, valid for a day, and its key, in PEM."""
    key, now = new_key(), datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name_of(name),
        name_of(name),
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(hours=1),
        now + timedelta(days=1),
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    return pem(builder.sign(key, hashes.SHA256())), key_pem(key)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def place(stem: Path, chain: bytes, key: ec.EllipticCurvePrivateKey | bytes) -> None:
    """Put ``<stem>.crt`` and ``<stem>.key`` in place before the first start."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_name(f"{stem.name}.crt").write_bytes(chain)
    stem.with_name(f"{stem.name}.key").write_bytes(key if isinstance(key, bytes) else key_pem(key))


def place_under_root(stem: Path) -> tuple[bytes, bytes, bytes]:
    """Put an issuing CA with an intermediate and a root above it in place.

    Returns:
        The issuing certificate, those above it, and the root alone, in PEM.
    """
    root, middle, issuing = new_key(), new_key(), new_key()
    root_certificate = certify("own root", root, "own root", root)
    middle_certificate = certify("own intermediate", middle, "own root", root)
    issuing_certificate = certify("own issuing", issuing, "own intermediate", middle)
    own, above = pem(issuing_certificate), pem(middle_certificate, root_certificate)
    place(stem, own + above, issuing)
    return own, above, pem(root_certificate)
