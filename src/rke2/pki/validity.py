"""How long the certificates in files are good, by the rules of ``rke2 certificate check`` (day2 reference §5.1)."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rke2.errors import PKIError
from rke2.pki.catalog import RENEW_BEFORE
from rke2.pki.pem import read_certificates

log = logging.getLogger(__name__)


class Validity(enum.StrEnum):
    """The states of RKE2."""

    OK = "OK"
    WARNING = "WARNING"
    EXPIRED = "EXPIRED"
    NOT_YET = "NOT YET VALID"


@dataclass(frozen=True)
class CheckedCertificate:
    """One certificate of a file, as it was at one moment.

    Args:
        filename: without its directory.
        expires: its end; of one that is not valid yet its beginning, as in RKE2.
        residual: until its end; negative after it.
    """

    filename: str
    subject: str
    issuer: str
    usages: tuple[str, ...]
    expires: datetime
    residual: timedelta
    validity: Validity


def check_files(files: Iterable[Path], now: datetime) -> Iterator[CheckedCertificate]:
    """Every certificate in `files`, the leaf of each before its CAs; what cannot be read is logged and left out."""
    for file in files:
        try:
            found = read_certificates(file)
        except PKIError as error:
            log.warning("%s", error)
            continue
        if found is None:
            log.debug("%s does not exist", file)
            continue
        for certificate in found.chain:
            yield check(file.name, certificate, now)


def check(filename: str, certificate: x509.Certificate, now: datetime) -> CheckedCertificate:
    """What there is to say of one certificate."""
    validity = _validity(certificate, now)
    end, begin = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    return CheckedCertificate(
        filename,
        _common_name(certificate.subject),
        _common_name(certificate.issuer),
        usages(certificate),
        begin if validity is Validity.NOT_YET else end,
        end - now,
        validity,
    )


def _validity(certificate: x509.Certificate, now: datetime) -> Validity:
    if now < certificate.not_valid_before_utc:
        return Validity.NOT_YET
    if now > certificate.not_valid_after_utc:
        return Validity.EXPIRED
    left = certificate.not_valid_after_utc - now
    return Validity.WARNING if left < RENEW_BEFORE else Validity.OK


def _common_name(name: x509.Name) -> str:
    found = [str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return found[-1] if found else ""


_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "ServerAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "ClientAuth",
}


def usages(certificate: x509.Certificate) -> tuple[str, ...]:
    """What `certificate` is for, in RKE2's words."""
    return tuple(_usages(certificate)) or ("Unknown",)


def _usages(certificate: x509.Certificate) -> Iterator[str]:
    extensions = certificate.extensions
    for extension in extensions:
        if isinstance(extension.value, x509.KeyUsage) and extension.value.key_cert_sign:
            yield "CertSign"
    for extension in extensions:
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            yield from (_PURPOSES[oid] for oid in extension.value if oid in _PURPOSES)
