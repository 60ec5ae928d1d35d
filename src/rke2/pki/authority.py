"""Certificate authorities: find the one on disk, ours or the administrator's; make it; sign with it.

A CA file may be a bundle: the issuing certificate first, then intermediates and the root. Everything issued
carries the whole bundle behind it, so that a peer that trusts only the root can follow the chain.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rke2.errors import PKIError
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.catalog import AUTHORITY_LIFETIME, CERTIFICATE_MODE, Authority, Usage
from rke2.pki.lifetime import leaf_lifetime
from rke2.pki.names import AltNames
from rke2.pki.pem import (
    Certificates,
    PrivateKey,
    belongs_to,
    certificate_path,
    ensure_key,
    key_path,
    parse_certificates,
    read_certificates,
    read_key,
)

_PURPOSES = {
    Usage.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Usage.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
}


@dataclass(frozen=True)
class Subject:
    common_name: str
    organization: str = ""

    @classmethod
    def read(cls, name: x509.Name) -> Subject:
        return cls(_attribute(name, NameOID.COMMON_NAME), _attribute(name, NameOID.ORGANIZATION_NAME))

    def x509_name(self) -> x509.Name:
        parts = {NameOID.ORGANIZATION_NAME: self.organization, NameOID.COMMON_NAME: self.common_name}
        # Unchecked: Go does not know RFC 5280's bound of 64, which "system:node:<name>" passes with a legal name of 63.
        return x509.Name(
            [x509.NameAttribute(oid, text, _validate=False) for oid, text in parts.items() if text]
        )


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return ",".join(str(attribute.value) for attribute in name.get_attributes_for_oid(oid))


@dataclass(frozen=True)
class SigningAuthority:
    """A CA that can sign: its bundle and the key of the bundle's first certificate."""

    bundle: Certificates
    key: PrivateKey

    def sign(
        self,
        public_key: CertificatePublicKeyTypes,
        subject: Subject,
        usage: Usage,
        names: AltNames,
        lifetime: timedelta | None = None,
    ) -> bytes:
        """Certify `public_key`.

        Args:
            lifetime: from now on; if not given that of every leaf (`rke2.pki.lifetime`).

        Returns:
            PEM: the new certificate followed by the CA's bundle.
        """
        issuer = self.bundle.first
        builder = _builder(subject, issuer.subject, public_key).add_extension(
            _key_usage(ca=False), critical=True
        )
        # A peer whose clock is behind must accept the leaf as long as it accepts the CA.
        builder = builder.not_valid_before(min(ca.not_valid_before_utc for ca in self.bundle.chain))
        builder = builder.not_valid_after(datetime.now(UTC) + (lifetime or leaf_lifetime()))
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes(usage)), critical=False)
        builder = builder.add_extension(authority_key_id(issuer), critical=False)
        if san := names.extension():
            builder = builder.add_extension(san, critical=False)
        leaf = builder.sign(self.key, hashes.SHA256())
        return leaf.public_bytes(Encoding.PEM) + self.bundle.pem


def purposes(usage: Usage) -> list[x509.ObjectIdentifier]:
    return [oid for flag, oid in _PURPOSES.items() if flag in usage]


def authority_key_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The key identifier that everything signed by `issuer` carries."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        own = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def find_authority(tls: Path, authority: Authority) -> SigningAuthority | None:
    """The CA `authority` below `tls`, None if it has not been made yet.

    Raises:
        PKIError: it is there and cannot be used: unreadable, key missing or of another certificate, expired.
    """
    stem = tls / authority.file
    bundle, key = read_certificates(certificate_path(stem)), read_key(key_path(stem))
    return usable(bundle, key) if bundle else None


def usable(bundle: Certificates, key: PrivateKey | None) -> SigningAuthority:
    """The CA whose bundle and key these are.

    Raises:
        PKIError: no server could sign with them: the key is missing or another CA's, or the first certificate is not
            a CA's, or not valid now.
    """
    path = bundle.path.with_suffix(".key")
    if key is None:
        raise PKIError(f"{bundle.path} has no key: {path} is missing", "put the key of this CA there")
    if not belongs_to(key, bundle.first):
        raise PKIError(
            f"{path} is not the key of {bundle.path}", "put the files that belong together in place"
        )
    _require_authority(bundle)
    _require_valid(bundle, datetime.now(UTC))
    return SigningAuthority(bundle, key)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others."""
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _require_authority(bundle: Certificates) -> None:
    if not is_authority(bundle.first):
        raise PKIError(
            f"the first certificate in {bundle.path} is not a certificate authority",
            "put the issuing CA first, then intermediates, then the root",
        )


def _require_valid(bundle: Certificates, now: datetime) -> None:
    issuer = bundle.first
    if now > issuer.not_valid_after_utc:
        raise PKIError(
            f"{bundle.path} expired on {issuer.not_valid_after_utc:%Y-%m-%d}",
            "replace the certificate authority; every node has to rejoin",
        )
    if now < issuer.not_valid_before_utc:
        raise PKIError(
            f"{bundle.path} is not valid before {issuer.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            "set the clock of this machine",
        )


def make_authority(tls: Path, authority: Authority) -> SigningAuthority:
    """Make the CA `authority` below `tls`, with the key there if a crash left one without its certificate."""
    stem = tls / authority.file
    path = certificate_path(stem)
    key = ensure_key(key_path(stem))
    pem = _self_signed(key, f"{authority.prefix}-ca@{int(datetime.now(UTC).timestamp())}")
    write_atomic(path, pem, CERTIFICATE_MODE, durable=True)
    return SigningAuthority(parse_certificates(path, pem), key)


def write_nochain(tls: Path, bundle: Certificates) -> bool:
    """Write the bundle's first certificate alone beside it; True if that changed the file."""
    path = bundle.path.with_name(f"{bundle.path.stem}.nochain.crt")
    ensure_dir(path.parent, 0o700)
    return write_atomic(path, bundle.first.public_bytes(Encoding.PEM), CERTIFICATE_MODE)


def _self_signed(key: PrivateKey, common_name: str) -> bytes:
    subject, public_key, now = Subject(common_name), key.public_key(), datetime.now(UTC)
    builder = _builder(subject, subject.x509_name(), public_key).add_extension(
        _key_usage(ca=True), critical=True
    )
    builder = builder.not_valid_before(now).not_valid_after(now + AUTHORITY_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _builder(
    subject: Subject, issuer: x509.Name, public_key: CertificatePublicKeyTypes
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject.x509_name(), public_key)
    return builder.serial_number(secrets.randbelow(2**63 - 1) + 1)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=ca,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
