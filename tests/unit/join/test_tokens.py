from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import ConfigError
from rke2.join.tokens import BootstrapToken, PasswordToken, ca_hash, parse_server_token, parse_token
from tests.authorities import certify, new_key, pem

HASH = "ab" * 32
HASHES = st.sampled_from(["", HASH])
PASSWORDS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40)
USERNAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters=":"), max_size=10)
LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
IDS = st.text(LOWER, min_size=6, max_size=6)
SECRETS = st.text(LOWER, min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("secret", PasswordToken("secret")),
        ("user:secret", PasswordToken("user:secret")),
        ("K10::server:secret", PasswordToken("secret", "server")),
        (f"K10{HASH}::server:secret", PasswordToken("secret", "server", HASH)),
        (f"K10{HASH}::server:se:cr::et", PasswordToken("se:cr::et", "server", HASH)),
        ("K10:::secret", PasswordToken("secret")),
        ("K10server:secret", PasswordToken("secret", "server")),
        ("abcdef.0123456789abcdef", BootstrapToken("abcdef", "0123456789abcdef")),
        (f"K10{HASH}::abcdef.0123456789abcdef", BootstrapToken("abcdef", "0123456789abcdef", HASH)),
        ("abcdef.0123456789abcdef\n", PasswordToken("abcdef.0123456789abcdef\n")),
        ("Abcdef.0123456789abcdef", PasswordToken("Abcdef.0123456789abcdef")),
    ],
)
def test_the_forms_of_a_token(text: str, token: PasswordToken | BootstrapToken) -> None:
    assert parse_token(text) == token


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "token must not be empty"),
        ("K10abc::server:secret", "invalid token CA hash length"),
        (f"K10{HASH}0::server:secret", "invalid token CA hash length"),
        (f"K10{HASH}::", "invalid token format"),
        (f"K10{HASH}::server", "invalid token format"),
        (f"K10{HASH}::server:", "invalid token format"),
        ("K10", "invalid token format"),
    ],
)
def test_what_is_no_token(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_token(text)
    assert "server:secret" not in str(caught.value)


@given(HASHES, USERNAMES, PASSWORDS)
def test_password_tokens_survive_writing_and_reading(ca_hash: str, username: str, password: str) -> None:
    token = PasswordToken(password, username, ca_hash)
    assert parse_token(str(token)) == token


@given(HASHES, IDS, SECRETS)
def test_bootstrap_tokens_survive_writing_and_reading(ca_hash: str, token_id: str, secret: str) -> None:
    token = BootstrapToken(token_id, secret, ca_hash)
    assert parse_token(str(token)) == token
    with pytest.raises(ConfigError, match="bootstrap token"):
        parse_server_token(str(token))


@given(st.text())
def test_any_text_is_a_token_or_a_configuration_error(text: str) -> None:
    try:
        token = parse_token(text)
    except ConfigError:
        assert text == "" or text.startswith("K10")
    else:
        assert isinstance(token, BootstrapToken) or token.password


# --- hash of the CA bundle -------------------------------------------------------------------------


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_one_certificate_is_hashed_as_it_is_served() -> None:
    key = new_key()
    bundle = pem(certify("a", key, "a", key))
    assert ca_hash(bundle) == sha256(bundle)
    assert ca_hash(bundle + b"\n") == sha256(bundle + b"\n")
    assert ca_hash(b"garbage") == sha256(b"garbage")


def test_the_root_of_a_chain_is_hashed_in_der() -> None:
    root, middle, issuing, stranger = (new_key() for _ in range(4))
    root_certificate = certify("root", root, "root", root)
    chain = [
        certify("issuing", issuing, "middle", middle),
        certify("stranger", stranger, "stranger", stranger),
        root_certificate,
        certify("middle", middle, "root", root),
    ]
    assert ca_hash(pem(*chain)) == sha256(root_certificate.public_bytes(Encoding.DER))


def test_a_new_issuing_ca_below_the_same_root_keeps_the_hash() -> None:
    root = new_key()
    root_certificate = certify("root", root, "root", root)
    hashes = {ca_hash(pem(certify("issuing", new_key(), "root", root), root_certificate)) for _ in range(2)}
    assert len(hashes) == 1


def test_certificates_that_form_no_chain_are_hashed_as_they_are_served() -> None:
    first, second = new_key(), new_key()
    bundle = pem(certify("a", first, "a", first), certify("b", second, "b", second))
    assert ca_hash(bundle) == sha256(bundle)


def test_cross_signed_editions_do_not_run_in_circles() -> None:
    a, b = new_key(), new_key()
    bundle = pem(certify("a", a, "b", b), certify("b", b, "a", a), certify("a", a, "b", b))
    assert ca_hash(bundle) == sha256(bundle)
