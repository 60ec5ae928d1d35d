"""The certificate of port 9345 and its Secret on disk."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.model import NodeConfig
from rke2.pki.authority import find_authority
from rke2.pki.catalog import SERVER_CA, Usage
from rke2.pki.names import AltNames
from rke2.pki.pem import key_pem
from rke2.pki.rotation import REGENERATE
from rke2.pki.server_pki import ensure_server_pki
from rke2.supervisor.serving import (
    FILE,
    SUBJECT,
    ServingCertificate,
    annotation_key,
    ensure_serving_certificate,
    initial_names,
)
from tests.authorities import new_key
from tests.configs import paths_under, server_config


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    return config


def stored(config: NodeConfig) -> Any:
    return json.loads((config.paths.tls / FILE).read_bytes())


def names(certificate: ServingCertificate) -> set[str]:
    return set(AltNames.read(certificate.parsed()).entries())


def store(config: NodeConfig, sans: AltNames, lifetime: timedelta) -> ServingCertificate:
    """A certificate as an earlier run may have left it."""
    authority, key = find_authority(config.paths.tls, SERVER_CA), new_key()
    assert authority
    content = authority.sign(key.public_key(), SUBJECT, Usage.SERVER, sans, lifetime)
    certificate = ServingCertificate(content, key_pem(key))
    (config.paths.tls / FILE).write_text(json.dumps(certificate.secret()))
    return certificate


def test_the_secret_on_disk(config: NodeConfig) -> None:
    certificate = ensure_serving_certificate(config)
    secret = stored(config)
    assert (secret["kind"], secret["type"]) == ("Secret", "kubernetes.io/tls")
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == ("rke2-serving", "kube-system")
    annotations = secret["metadata"]["annotations"]
    fingerprint = annotations.pop("listener.cattle.io/fingerprint")
    assert fingerprint.startswith("SHA1=")
    assert len(fingerprint) == 45
    assert fingerprint == fingerprint.upper()
    assert annotations["listener.cattle.io/cn-node1"] == "node1"
    assert set(annotations.values()) == names(certificate)
    assert ServingCertificate.from_secret(secret) == certificate
    assert certificate.parsed().subject.rfc4514_string() == "CN=rke2,O=rke2"
    assert certificate.certificate.endswith((config.paths.tls / "server-ca.crt").read_bytes())


def test_it_is_kept_as_long_as_it_serves(config: NodeConfig) -> None:
    assert ensure_serving_certificate(config) == ensure_serving_certificate(config)


def test_names_gained_at_run_time_survive_renewal(config: NodeConfig) -> None:
    gained = initial_names(config) | AltNames.of("lb.example.org")
    grown = store(config, gained, timedelta(days=200))
    assert ensure_serving_certificate(config) == grown
    old = store(config, gained, timedelta(days=100))
    renewed = ensure_serving_certificate(config)
    assert renewed != old
    assert names(renewed) == set(gained.entries())


def test_the_marker_forgets_them(config: NodeConfig) -> None:
    store(config, initial_names(config) | AltNames.of("lb.example.org"), timedelta(days=300))
    (config.paths.tls / REGENERATE).touch()
    assert names(ensure_serving_certificate(config)) == set(initial_names(config).entries())
    assert not (config.paths.tls / REGENERATE).exists()


def test_a_new_name_in_the_configuration_is_added(config: NodeConfig, tmp_path: Path) -> None:
    ensure_serving_certificate(config)
    network = {"tls_sans": ("rke2.example.org",), "bind_address": "192.0.2.1"}
    more = server_config(paths_under(tmp_path), network=network)
    assert {"rke2.example.org", "192.0.2.1"} <= names(ensure_serving_certificate(more))


def test_another_server_ca_replaces_it(config: NodeConfig) -> None:
    before = ensure_serving_certificate(config)
    for path in config.paths.tls.glob("server-ca.*"):
        path.unlink()
    ensure_server_pki(config)
    assert ensure_serving_certificate(config) != before


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"data": {}}', '{"data": {"tls.crt": "eA==", "tls.key": ""}}']
)
def test_an_unreadable_file_is_made_anew(config: NodeConfig, content: str) -> None:
    (config.paths.tls / FILE).write_text(content)
    certificate = ensure_serving_certificate(config)
    assert isinstance(certificate.parsed(), x509.Certificate)
    assert ensure_serving_certificate(config) == certificate


@pytest.mark.parametrize(
    ("san", "key"),
    [
        ("kubernetes.default", "kubernetes.default"),
        ("::1", "__1-f16284"),
        ("*.example.org", "_.example.org-0e80c9"),
        ("a" * 41, "a" * 41),
        ("a" * 42, "a" * 34 + "-30d308"),
        ("a" * 253, "a" * 34 + "-cded91"),
    ],
)
def test_names_as_annotation_keys(san: str, key: str) -> None:
    assert annotation_key(san) == f"listener.cattle.io/cn-{key}"


@given(st.text("abc.-*:", min_size=1, max_size=200))
def test_annotation_keys_are_short_and_plain(san: str) -> None:
    key = annotation_key(san)
    assert key.startswith("listener.cattle.io/cn-")
    assert len(key) <= 63
    assert ":" not in key
    assert "*" not in key
