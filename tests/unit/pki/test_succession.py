"""Which authorities may follow others: each rule by itself, and what clients of OpenSSL make of the order."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from rke2.errors import PKIError
from rke2.pki.pem import Certificates, key_pem, new_rsa_key, parse_certificates
from rke2.pki.succession import check_service_keys, check_successor, check_usable, cross_signed_first
from tests.authorities import certify, new_key, pem

PATH = Path("tls/server-ca.crt")
FORMER, ROOT, ISSUING = new_key(), new_key(), new_key()
former = certify("former", FORMER, "former", FORMER)
root = certify("root", ROOT, "root", ROOT)
crossed = certify("root", ROOT, "former", FORMER)
issuing = certify("issuing", ISSUING, "root", ROOT)
NOW = datetime.now(UTC)


def bundle(*certificates: x509.Certificate) -> Certificates:
    return parse_certificates(PATH, pem(*certificates))


@pytest.mark.parametrize(
    "new",
    [
        (issuing, crossed, root, former),
        (issuing, root, crossed, former),
        (issuing, crossed),
        (certify("other", ISSUING, "former", FORMER), former),
        (former, root),
    ],
)
def test_what_the_former_authority_has_signed_may_follow(new: tuple[x509.Certificate, ...]) -> None:
    check_successor(bundle(former), bundle(*new))


def test_a_former_authority_below_a_root_is_followed_too() -> None:
    """Its issuing CA, not its root, signs what comes next: the key of that root is nowhere on a server."""
    next_root, next_issuing = new_key(), new_key()
    successor = bundle(
        certify("next issuing", next_issuing, "next root", next_root),
        certify("next root", next_root, "issuing", ISSUING),
        certify("next root", next_root, "next root", next_root),
    )
    check_successor(bundle(issuing, crossed, root, former), successor)


@pytest.mark.parametrize(
    "new",
    [
        (issuing, root),
        (issuing, root, certify("root", ROOT, "former", new_key())),
        (issuing, certify("root", ROOT, "former", FORMER, end=NOW - timedelta(days=1)), root),
        (issuing, certify("root", ROOT, "former", FORMER, begin=NOW + timedelta(days=1)), root),
        (issuing, certify("root", ROOT, "former", FORMER, ca=False), root),
    ],
    ids=["not cross-signed", "signed by another of that name", "expired", "not valid yet", "no authority"],
)
def test_what_it_has_not_signed_may_not(new: tuple[x509.Certificate, ...]) -> None:
    with pytest.raises(PKIError, match=r"^new CA cert cannot be verified using old CA chain: .*CN=issuing"):
        check_successor(bundle(former), bundle(*new))


def test_a_former_root_that_has_ended_proves_nothing() -> None:
    ended = certify("former", FORMER, "former", FORMER, end=NOW - timedelta(days=1))
    with pytest.raises(PKIError, match="cannot be verified using old CA chain"):
        check_successor(bundle(ended), bundle(issuing, crossed, root))


def test_a_single_certificate_may_not() -> None:
    with pytest.raises(
        PKIError,
        match=r"^new CA bundle contains only a single certificate but should include root or intermediate CA "
        r"certificates$",
    ):
        check_successor(bundle(former), bundle(certify("other", ISSUING, "former", FORMER)))


# --- what no server could start with ---------------------------------------------------------------
def test_the_key_must_be_that_of_the_first_certificate() -> None:
    with pytest.raises(PKIError, match=r"^new CA cert and key cannot be loaded as X590KeyPair: "):
        check_usable(bundle(issuing, root), ROOT)
    check_usable(bundle(issuing, root), ISSUING)


def test_the_first_certificate_must_be_an_authority_and_valid() -> None:
    with pytest.raises(PKIError, match="not a certificate authority"):
        check_usable(bundle(certify("leaf", ISSUING, "root", ROOT, ca=False), root), ISSUING)
    with pytest.raises(PKIError, match="expired on"):
        check_usable(
            bundle(certify("issuing", ISSUING, "root", ROOT, end=NOW - timedelta(days=1)), root), ISSUING
        )


# --- keys of service accounts ----------------------------------------------------------------------
def test_the_key_that_signs_now_must_stay_among_those_that_verify() -> None:
    one, two, three = (key_pem(new_rsa_key()) for _ in range(3))
    check_service_keys(PATH, one, two + one)
    check_service_keys(PATH, one + two, three + one)
    for new in (two, three + two):
        with pytest.raises(
            PKIError, match=r"^old ServiceAccount signing key not in new ServiceAccount key list$"
        ):
            check_service_keys(PATH, one, new)
    with pytest.raises(PKIError, match="holds no key"):
        check_service_keys(PATH, one, b"nonsense")


# --- the order -------------------------------------------------------------------------------------
RKE2S = (issuing, root, crossed, former)
"""As RKE2's own script has it."""


def follows(tmp_path: Path, chain: bytes) -> bool:
    """Whether a TLS client that trusts the former authority alone accepts a server with `chain` behind its own."""
    key = new_key()
    (tmp_path / "leaf.pem").write_bytes(
        pem(certify("leaf", key, "issuing", ISSUING, ca=False)) + chain + key_pem(key)
    )
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(tmp_path / "leaf.pem")
    client.check_hostname = False
    client.load_verify_locations(cadata=pem(former).decode())
    return _shake_hands(server, client)


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up)]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return ends[1].version() is not None and ends[1].getpeercert() is not None


def test_openssl_follows_a_chain_only_if_the_cross_signed_root_comes_first(tmp_path: Path) -> None:
    assert not follows(tmp_path, pem(*RKE2S))
    assert follows(tmp_path, cross_signed_first(bundle(*RKE2S)))


def test_nothing_else_changes_its_place() -> None:
    comment = b"# of our own\n" + pem(issuing, crossed, root, former)
    assert cross_signed_first(parse_certificates(PATH, comment)) == comment
    assert cross_signed_first(bundle(*RKE2S)) == pem(issuing, crossed, root, former)
    again = certify("root", ROOT, "issuing", ISSUING)
    assert cross_signed_first(bundle(issuing, root, former, crossed, again)) == pem(
        issuing, crossed, again, root, former
    )
    # The first one signs, whatever follows.
    assert cross_signed_first(bundle(root, crossed, former)) == pem(root, crossed, former)
