"""Certificates that expire while their node is switched off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from rke2.pki.pem import Certificates, PrivateKey, read_certificates, read_key


def leaves(tls: Path, agent: Path) -> Iterator[Certificates]:
    """Every certificate of a server and its agent that is no CA.

    Args:
        tls: directory of the server's certificates, with others below.
        agent: directory of the agent's.
    """
    for path in sorted([*tls.rglob("*.crt"), *agent.glob("*.crt")]):
        found = read_certificates(path)
        if found and not _is_authority(found.first):
            yield found


YESTERDAY = timedelta(days=1)


def expire(tls: Path, agent: Path, *, only_agent: bool = False, ago: timedelta = YESTERDAY) -> int:
    """Have every leaf expired since a while ago, all else as it is; returns their number.

    Args:
        tls: where the authorities' keys are.
        only_agent: leave those below `tls` as they are.
        ago: how long since.
    """
    authorities = dict(_authorities(tls))
    found = [leaf for leaf in leaves(tls, agent) if not only_agent or leaf.path.is_relative_to(agent)]
    for leaf in found:
        expired = _again(leaf.first, authorities[leaf.first.issuer], ago)
        chain = b"".join(above.public_bytes(Encoding.PEM) for above in leaf.chain[1:])
        leaf.path.write_bytes(expired.public_bytes(Encoding.PEM) + chain)
    return len(found)


def _authorities(tls: Path) -> Iterator[tuple[x509.Name, PrivateKey]]:
    for path in tls.rglob("*-ca.crt"):
        found, key = read_certificates(path), read_key(path.with_suffix(".key"))
        assert found is not None and key is not None, path
        yield found.first.subject, key


def _again(leaf: x509.Certificate, issuer_key: PrivateKey, ago: timedelta) -> x509.Certificate:
    end = datetime.now(UTC) - ago
    builder = x509.CertificateBuilder(
        leaf.issuer,
        leaf.subject,
        leaf.public_key(),
        leaf.serial_number,
        end - timedelta(days=365),
        end,
        list(leaf.extensions),
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False
