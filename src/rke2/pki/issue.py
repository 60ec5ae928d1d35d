"""Leaf certificates on disk: is this one still what the node needs, and if not, why.

The rules of RKE2: a leaf is issued again, with the key it has, when it expires soon (`rke2.pki.lifetime`), when its
subject or its CA have changed, or when it lacks a name. Names beyond those needed are left to a server's leaf until it
is renewed: static pods hold these files, and etcd would restart each time RKE2 and this program change places.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.pki.authority import Subject, authority_key_id, purposes
from rke2.pki.catalog import KEY_MODE, Leaf, Usage
from rke2.pki.lifetime import renew_before
from rke2.pki.names import AltNames, alt_names
from rke2.pki.pem import (
    Certificates,
    PrivateKey,
    belongs_to,
    certificate_path,
    key_path,
    read_certificates,
    read_key,
    restore_mode,
)

NO_CERTIFICATE = "no certificate yet"


@dataclass(frozen=True)
class Wanted:
    """What a leaf of the catalog must say on one particular node."""

    subject: Subject
    usage: Usage
    names: AltNames
    exact: bool = False
    """No further names."""

    @classmethod
    def on_node(cls, leaf: Leaf, config: NodeConfig) -> Wanted:
        common_name = leaf.common_name.format(node=config.node.name)
        return cls(
            Subject(common_name, leaf.organization),
            leaf.usage,
            alt_names(leaf.names, config),
            leaf.names.exact,
        )


@dataclass(frozen=True)
class Pair:
    """A leaf as it lies on disk; None for what is missing."""

    certificate_path: Path
    key_path: Path
    certificates: Certificates | None
    key: PrivateKey | None

    @classmethod
    def read(cls, stem: Path) -> Pair:
        """The files ``<stem>.crt`` and ``<stem>.key``.

        Raises:
            PKIError: one of them is there and cannot be understood.
        """
        crt, key = certificate_path(stem), key_path(stem)
        return cls(crt, key, read_certificates(crt), read_key(key))

    def stale(self, wanted: Wanted, bundle: Certificates, before: timedelta | None = None) -> str:
        """Why the certificate has to be issued (again) by the CA `bundle`; empty if it is good.

        Args:
            before: how long before its end it is renewed; by default as `renew_before` says.
        """
        if self.certificates is None:
            return NO_CERTIFICATE
        if self.key is None or not belongs_to(self.key, self.certificates.first):
            return "the certificate is not of the key beside it"
        leaf = self.certificates.first
        ending = _too_short(leaf, renew_before() if before is None else before)
        return ending or _stale(leaf, wanted, bundle.first) or self._stale_bundle(bundle)

    @property
    def is_whole(self) -> bool:
        """Whether both files are there."""
        return self.certificates is not None and self.key is not None

    def restore_modes(self, certificate_mode: int) -> None:
        """Undo what somebody did to the permissions of an existing pair."""
        restore_mode(self.certificate_path, certificate_mode)
        restore_mode(self.key_path, KEY_MODE)

    def _stale_bundle(self, bundle: Certificates) -> str:
        assert self.certificates is not None
        return "" if self.certificates.pem.endswith(bundle.pem) else "the CA bundle has changed"


def _stale(leaf: x509.Certificate, wanted: Wanted, issuer: x509.Certificate) -> str:
    if Subject.read(leaf.subject) != wanted.subject:
        return f"the subject has to be {wanted.subject.common_name!r}"
    if problem := _wrong_names(AltNames.read(leaf), wanted):
        return problem
    if not issued_by(leaf, issuer):
        return "the CA has changed"
    return "" if _usages(leaf) == set(purposes(wanted.usage)) else "its usage is another"


def _wrong_names(found: AltNames, wanted: Wanted) -> str:
    if missing := found.lacking(wanted.names):
        return f"it does not name {', '.join(missing)}"
    if wanted.exact and (more := wanted.names.lacking(found)):
        return f"it names {', '.join(more)}, which this node is not called any more"
    return ""


def _too_short(leaf: x509.Certificate, before: timedelta) -> str:
    remaining = leaf.not_valid_after_utc - datetime.now(UTC)
    if remaining >= before:
        return ""
    return "it has expired" if remaining.total_seconds() < 0 else f"it expires in {remaining.days} days"


def issued_by(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `leaf` names `issuer` and its key as the one that signed it (the signature is not computed)."""
    try:
        signer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return False
    return leaf.issuer == issuer.subject and signer.key_identifier == authority_key_id(issuer).key_identifier


def _usages(leaf: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()
