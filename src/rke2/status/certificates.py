"""When the certificates of this node end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import PKIError
from rke2.pki.catalog import AGENT_BUNDLES, AGENT_LEAVES, AUTHORITIES, RENEW_BEFORE, SERVER_LEAVES
from rke2.pki.pem import Certificates, certificate_path, read_certificates

AUTHORITY_WARNING = timedelta(days=365)
"""From when on the end of a CA is a warning (supervisor-api.md 11.4)."""


@dataclass(frozen=True)
class Certificate:
    """A certificate file; of a bundle the certificate that ends first.

    Args:
        file: relative to the data directory, without ``.crt``.
    """

    file: str
    ends: datetime
    authority: bool

    @property
    def name(self) -> str:
        return self.file.rpartition("/")[2]

    def warning(self, now: datetime) -> str:
        """What to do about the end; empty if it is far enough."""
        left = self.ends - now
        if left >= (AUTHORITY_WARNING if self.authority else RENEW_BEFORE):
            return ""
        when = f"ended on {self.ends:%Y-%m-%d}" if left <= timedelta() else f"ends in {left.days} days"
        remedy = (
            "replace this certificate authority"
            if self.authority
            else "restart rke2 on this node to renew it"
        )
        return f"{self.file}.crt {when}: {remedy}"


def certificates(paths: Paths) -> tuple[Certificate, ...]:
    """All that this node has, by the catalog; files that cannot be read are left out."""
    agent, tls = paths.agent, paths.tls
    leaves = [agent / leaf.file for leaf in AGENT_LEAVES] + [tls / leaf.file for leaf in SERVER_LEAVES]
    bundles = [tls / ca.file for ca in AUTHORITIES]
    if not certificate_path(bundles[0]).exists():
        bundles = [agent / ca.file for ca in AGENT_BUNDLES]
    return (*_read(paths, leaves, False), *_read(paths, bundles, True))


def _read(paths: Paths, stems: list[Path], authority: bool) -> Iterator[Certificate]:
    for stem in stems:
        if found := _file(certificate_path(stem)):
            chain = found.chain if authority else (found.first,)
            ends = min(certificate.not_valid_after_utc for certificate in chain)
            yield Certificate(str(stem.relative_to(paths.data_dir)), ends, authority)


def _file(path: Path) -> Certificates | None:
    try:
        return read_certificates(path)
    except (PKIError, OSError):
        return None


def first_to_end(found: tuple[Certificate, ...], *, authority: bool) -> Certificate | None:
    """Of the leaves or of the CAs."""
    kind = (certificate for certificate in found if certificate.authority is authority)
    return min(kind, key=lambda certificate: certificate.ends, default=None)


def warnings(found: tuple[Certificate, ...], now: datetime | None = None) -> list[str]:
    """A line for each certificate that ends soon."""
    at = now or datetime.now(UTC)
    return [text for certificate in found if (text := certificate.warning(at))]
