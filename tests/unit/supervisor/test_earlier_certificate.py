"""Which certificates that have ended are still good, because the API server has read them before they were renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rke2.config.model import NodeConfig
from rke2.pki.authority import Subject, find_authority
from rke2.pki.catalog import CLIENT_CA, Usage
from rke2.pki.names import AltNames
from rke2.pki.pem import PrivateKey, new_ec_key, read_key
from rke2.pki.server_pki import ensure_server_pki
from rke2.supervisor.earlier_certificate import FILE, EarlierCertificate
from tests.configs import paths_under, server_config

NAMED = Subject("system:apiserver", "system:masters")
ADMIN = Subject("system:admin", "system:masters")
HOUR = timedelta(hours=1)
LATER = datetime.now(UTC) + 2 * HOUR
"""When a certificate that is made here has ended."""


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    return config


def own_key(config: NodeConfig) -> PrivateKey:
    key = read_key(config.paths.tls / f"{FILE}.key")
    assert key
    return key


def shown(config: NodeConfig, key: PrivateKey, subject: Subject = NAMED, lifetime: timedelta = HOUR) -> bytes:
    authority = find_authority(config.paths.tls, CLIENT_CA)
    assert authority
    pem = authority.sign(key.public_key(), subject, Usage.CLIENT, AltNames(), lifetime)
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_one_that_was_renewed_with_its_key(config: NodeConfig) -> None:
    known = EarlierCertificate(config.paths.tls)
    assert known.subject(shown(config, own_key(config)), LATER) == NAMED


def test_not_one_that_is_valid(config: NodeConfig) -> None:
    """The usual way is for those."""
    known = EarlierCertificate(config.paths.tls)
    assert known.subject(shown(config, own_key(config), lifetime=3 * HOUR), LATER) is None


def test_not_another_key_or_another_name(config: NodeConfig) -> None:
    known = EarlierCertificate(config.paths.tls)
    assert known.subject(shown(config, new_ec_key()), LATER) is None
    assert known.subject(shown(config, own_key(config), ADMIN), LATER) is None
    admin = read_key(config.paths.tls / "client-admin.key")
    assert admin
    assert known.subject(shown(config, admin, ADMIN), LATER) is None


def test_not_when_the_one_in_its_place_has_ended_or_is_gone(config: NodeConfig) -> None:
    known, earlier = EarlierCertificate(config.paths.tls), shown(config, own_key(config))
    assert known.subject(earlier, datetime.now(UTC) + timedelta(days=366)) is None
    (config.paths.tls / f"{FILE}.crt").unlink()
    assert known.subject(earlier, LATER) is None
    (config.paths.tls / f"{FILE}.crt").write_text("not a certificate")
    assert known.subject(earlier, LATER) is None
