"""How long the certificates of this node are still good (day2 reference §5.4)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from rke2.errors import PKIError
from rke2.metrics.families import Family, Labels, gauge, labelled
from rke2.pki.pem import read_certificates
from rke2.pki.validity import usages


def families(files: Iterable[Path], now: datetime) -> tuple[Family, ...]:
    """Seconds until the end of each certificate in `files`, negative after it.

    Of several with the same subject and usages, such as a CA in many files, the one that ends first counts: RKE2 shows
    whichever it has read last. What cannot be read has no figure; `rke2.pki.inventory` and the events tell of it.
    """
    left: dict[Labels, float] = {}
    for labels, seconds in _found(files, now):
        left[labels] = min(seconds, left.get(labels, seconds))
    help = "Remaining lifetime in seconds of the certificate, by its subject and usages."
    return (gauge("rke2_certificate_expiration_seconds", help, left),)


def _found(files: Iterable[Path], now: datetime) -> Iterable[tuple[Labels, float]]:
    for file in files:
        try:
            found = read_certificates(file)
        except PKIError:
            continue
        for certificate in found.chain if found else ():
            labels = labelled(
                subject=certificate.subject.rfc4514_string(), usages=",".join(usages(certificate))
            )
            yield labels, (certificate.not_valid_after_utc - now).total_seconds()
