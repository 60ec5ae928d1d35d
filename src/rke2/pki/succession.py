"""Whether a new certificate authority may take the place of one that is in use (day2 reference §5.3).

A bundle for that has, behind the new issuing CA, a root that the CA in use has signed: whoever trusts only the former
one follows the chain until it is restarted with the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rke2.errors import PKIError
from rke2.pki.authority import is_authority, usable
from rke2.pki.chains import climb, same_authority, self_signed
from rke2.pki.pem import Certificates, PrivateKey, belongs_to, public_keys

_NOTHING_BEHIND = (
    "new CA bundle contains only a single certificate but should include root or intermediate CA certificates"
)


def check_usable(bundle: Certificates, key: PrivateKey) -> None:
    """See whether a server can sign with them.

    Raises:
        PKIError: the key is another CA's, or the first certificate is not a CA's, or not valid now.
    """
    if not belongs_to(key, bundle.first):
        # "X590" is RKE2's, letter by letter: people search for it.
        raise PKIError(
            "new CA cert and key cannot be loaded as X590KeyPair: "
            f"the private key is not that of the first certificate in {bundle.path}"
        )
    usable(bundle, key)


def check_successor(former: Certificates, new: Certificates) -> None:
    """See whether peers that trust `former` accept what the first certificate of `new` signs.

    Raises:
        PKIError: they do not, in RKE2's words.
    """
    if len(new.chain) == 1:
        raise PKIError(_NOTHING_BEHIND)
    roots = [each for each in former.chain if self_signed(each)]
    if new.first in roots:
        return
    others = [each for each in (*former.chain, *new.chain) if not self_signed(each)]
    if climb([new.first], _usable(roots), _usable(others)) is None:
        known = ", ".join(each.subject.rfc4514_string() for each in roots) or "none"
        raise PKIError(
            f"new CA cert cannot be verified using old CA chain: no valid chain leads from "
            f"{new.first.subject.rfc4514_string()} to a root of {former.path} ({known})"
        )


def _usable(authorities: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    now = datetime.now(UTC)
    return [
        each
        for each in authorities
        if is_authority(each) and each.not_valid_before_utc <= now <= each.not_valid_after_utc
    ]


def check_service_keys(path: Path, former: bytes, new: bytes) -> None:
    """See whether tokens of service accounts that the first key of `former` has signed are still valid with `new`.

    Args:
        path: for messages.

    Raises:
        PKIError: they are not, in RKE2's words; or a key cannot be read.
    """
    signing, known = public_keys(path, former)[0], public_keys(path, new)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if signing.public_bytes(*form) not in {each.public_bytes(*form) for each in known}:
        raise PKIError("old ServiceAccount signing key not in new ServiceAccount key list")


def cross_signed_first(bundle: Certificates) -> bytes:
    """`bundle` with a root's cross-signed editions before its self-signed one.

    OpenSSL takes the first issuer that fits among the certificates that a peer sends, and does not look for another
    if that one ends in a root it does not trust. Go tries all of them. RKE2's own script has the other order.

    Returns:
        The PEM as it is, if the order is right.
    """
    ordered: list[x509.Certificate] = []
    for each in bundle.chain:
        place = next(
            (
                index
                for index, other in enumerate(ordered)
                if index and not self_signed(each) and self_signed(other) and same_authority(each, other)
            ),
            len(ordered),
        )
        ordered.insert(place, each)
    if tuple(ordered) == bundle.chain:
        return bundle.pem
    return b"".join(each.public_bytes(Encoding.PEM) for each in ordered)
