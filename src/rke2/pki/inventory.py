"""Which certificates a node has, by the catalog, and from when on the end of one is worth a word.

The one place that knows both: ``rke2 status`` and the events on the Node ask here, and so say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rke2.config.paths import Paths
from rke2.pki.catalog import (
    AGENT_BUNDLES,
    AGENT_LEAVES,
    AUTHORITIES,
    ETCD_MEMBER_LEAVES,
    SERVER_LEAVES,
)
from rke2.pki.lifetime import warn_before
from rke2.pki.pem import certificate_path

AUTHORITY_WARNING = timedelta(days=365)
"""From when on the end of a CA is a warning (supervisor reference §11.4)."""


@dataclass(frozen=True)
class CertificateFile:
    """A file in which a node may have a certificate.

    Args:
        stem: its path without ``.crt``.
        authority: it is a bundle of CAs, of which each counts; else a leaf, followed by the CAs behind it.
        copied: an agent's copy of what a server has, which is on a server, too.
    """

    stem: Path
    authority: bool
    copied: bool = False

    @property
    def path(self) -> Path:
        return certificate_path(self.stem)


def agent_files(paths: Paths) -> tuple[CertificateFile, ...]:
    """Those of every node, whether they exist or not."""
    return (
        *(CertificateFile(paths.agent / leaf.file, authority=False) for leaf in AGENT_LEAVES),
        *(CertificateFile(paths.agent / ca.file, authority=True, copied=True) for ca in AGENT_BUNDLES),
    )


def server_files(paths: Paths, *, etcd: bool = True) -> tuple[CertificateFile, ...]:
    """Those a server has besides, whether they exist or not.

    Args:
        etcd: whether the server has a member; files that it had when it was one say nothing any more.
    """
    unused = frozenset[str]() if etcd else ETCD_MEMBER_LEAVES
    return (
        *(
            CertificateFile(paths.tls / leaf.file, authority=False)
            for leaf in SERVER_LEAVES
            if leaf.file not in unused
        ),
        *(CertificateFile(paths.tls / ca.file, authority=True) for ca in AUTHORITIES),
    )


def ends_soon(left: timedelta, *, authority: bool) -> bool:
    """Whether a certificate that is valid for another `left` (negative: not any more) needs attention."""
    return left < (AUTHORITY_WARNING if authority else warn_before())
