"""Certificates, keys and tokens that cannot be this cluster's: nothing is replaced, nothing is made beside them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.authorities import certify, new_key, pem
from tests.authorities import place as place_pair
from tests.cluster.bad_input.refusal import Place

NOW = datetime.now(UTC)


@pytest.fixture
def tls(place: Place) -> Path:
    """The place's directory of certificates, on the machine, with a good server CA in it."""
    directory = place.outside(place.paths.tls)
    _authority(directory / "server-ca")
    return directory


def _authority(stem: Path, begin: datetime | None = None, end: datetime | None = None) -> None:
    key = new_key()
    place_pair(stem, pem(certify("own CA", key, "own CA", key, begin=begin, end=end)), key)


def expired(tls: Path) -> None:
    _authority(tls / "client-ca", begin=NOW - timedelta(days=3660), end=NOW - timedelta(days=1))


def from_tomorrow(tls: Path) -> None:
    _authority(tls / "client-ca", begin=NOW + timedelta(days=1))


def key_of_another(tls: Path) -> None:
    _authority(tls / "client-ca")
    _authority(tls / "other")
    (tls / "other.key").replace(tls / "client-ca.key")


def no_key(tls: Path) -> None:
    _authority(tls / "client-ca")
    (tls / "client-ca.key").unlink()


def a_leaf(tls: Path) -> None:
    key = new_key()
    place_pair(tls / "client-ca", pem(certify("leaf", key, "own CA", key, ca=False)), key)


def garbage(tls: Path) -> None:
    (tls / "client-ca.crt").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")


def garbage_leaf_key(tls: Path) -> None:
    (tls / "client-admin.key").write_text(
        "-----BEGIN EC PRIVATE KEY-----\nnonsense\n-----END EC PRIVATE KEY-----\n"
    )


def garbage_service_account_key(tls: Path) -> None:
    (tls / "service.key").write_text("-----BEGIN RSA PRIVATE KEY-----\nbm8=\n-----END RSA PRIVATE KEY-----\n")


CASES: list[tuple[Callable[[Path], None], tuple[str, ...]]] = [
    (expired, ("client-ca.crt expired on", "hint: replace the certificate authority")),
    (from_tomorrow, ("client-ca.crt is not valid before", "hint: set the clock")),
    (
        key_of_another,
        ("client-ca.key is not the key of", "client-ca.crt", "hint: put the files that belong together"),
    ),
    (no_key, ("client-ca.crt has no key", "client-ca.key is missing")),
    (a_leaf, ("client-ca.crt is not a certificate authority",)),
    (garbage, ("client-ca.crt holds no readable certificate", "hint: put the original file back")),
    (garbage_leaf_key, ("client-admin.key holds no readable private key", "hint: delete the file")),
    (
        garbage_service_account_key,
        ("service.key holds no readable private key", "hint: put the original file back"),
    ),
]


@pytest.mark.parametrize(("spoil", "fragments"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_certificates(
    place: Place, tls: Path, spoil: Callable[[Path], None], fragments: tuple[str, ...]
) -> None:
    spoil(tls)
    place.refuses(*fragments)


@pytest.mark.usefixtures("tls")
def test_token_file_of_another_cluster(place: Place) -> None:
    token = place.outside(place.paths.token)
    token.write_text(f"K10{'a' * 64}::server:secret\n")
    place.refuses(
        f"{place.paths.token} is of another cluster", str(place.paths.tls / "server-ca.crt"), "hint: put this"
    )


@pytest.mark.usefixtures("tls")
def test_configured_token_of_another_cluster(place: Place) -> None:
    flag = f"--token=K10{'a' * 64}::server:secret"
    place.refuses("token is of another cluster", f"hint: use the token in {place.paths.token}", flags=(flag,))


def test_token_file_that_is_none(place: Place) -> None:
    token = place.outside(place.paths.token)
    token.parent.mkdir(parents=True)
    token.write_text("K10abc")
    place.refuses(str(place.paths.token), "hint: delete the file")
