"""Chains of certificate authorities, by signature alone."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature


def climb(
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
) -> x509.Certificate | None:
    """The root above the last certificate of `chain`, depth first, roots before intermediates; None without one."""
    for root in roots:
        if signed(chain[-1], root):
            return root
    for parent in intermediates:
        # Unless the repeated are left out, two authorities that have
        # signed each other are climbed without end.
        if not _repeats(parent, chain) and signed(chain[-1], parent):
            root_above = climb([*chain, parent], roots, intermediates)
            if root_above:
                return root_above
    return None


def same_authority(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether both are editions of one CA, as where a root is signed by itself and by another root, too."""
    return one.subject == other.subject and one.public_key() == other.public_key()


def signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `certificate` names `issuer`, and has its signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        # Another name, a key of another kind, a wrong signature: each says that this is not the issuer.
        return False
    return True


def self_signed(certificate: x509.Certificate) -> bool:
    return signed(certificate, certificate)


def _repeats(candidate: x509.Certificate, chain: Sequence[x509.Certificate]) -> bool:
    """Whether `candidate` is one of `chain` in another cross-signed edition."""
    return any(same_authority(candidate, member) for member in chain)
