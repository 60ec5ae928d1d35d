"""When the certificates of this node end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import PKIError
from rke2.pki.inventory import CertificateFile, agent_files, ends_soon, server_files
from rke2.pki.pem import Certificates, read_certificates


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
        if not ends_soon(left, authority=self.authority):
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
    agents, servers = agent_files(paths), server_files(paths)
    if any(file.authority and file.path.exists() for file in servers):
        agents = tuple(file for file in agents if not file.copied)
    files = sorted((*agents, *servers), key=lambda file: file.authority)
    return tuple(_read(paths, files))


def _read(paths: Paths, files: Iterable[CertificateFile]) -> Iterator[Certificate]:
    for file in files:
        if found := _certificates(file.path):
            chain = found.chain if file.authority else (found.first,)
            ends = min(certificate.not_valid_after_utc for certificate in chain)
            yield Certificate(str(file.stem.relative_to(paths.data_dir)), ends, file.authority)


def _certificates(path: Path) -> Certificates | None:
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
