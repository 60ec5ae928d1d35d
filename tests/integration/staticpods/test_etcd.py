"""The real etcd with the generated configuration, in a namespace of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from rke2.config.model import ComponentSettings
from rke2.join.credentials import ensure_etcd_name
from rke2.staticpods import etcd, etcd_config
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.isolation import Isolated, isolated

pytestmark = [pytest.mark.content, pytest.mark.root]


def certificate(
    directory: Path, name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    """A key pair in two files; a CA without `issuer`, else a leaf for both directions on both addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer_name, signer_key = issuer or (subject, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        addresses = [x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "192.0.2.1")]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    made = builder.sign(signer_key, hashes.SHA256())
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (directory / f"{name}.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return subject, key


@pytest.fixture
def network() -> Iterator[Isolated]:
    with isolated() as namespace:
        yield namespace


@pytest.mark.parametrize(
    "args", [(), ("quota-backend-bytes=4294967296", "auto-compaction-retention=1", "pre-vote=false")]
)
def test_etcd_serves_with_the_generated_configuration(
    tmp_path: Path, network: Isolated, args: tuple[str, ...]
) -> None:
    config = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(args=args)})
    tls = config.paths.tls / "etcd"
    server_ca, peer_ca = certificate(tls, "server-ca"), certificate(tls, "peer-ca")
    certificate(tls, "server-client", server_ca)
    certificate(tls, "client", server_ca)
    certificate(tls, "peer-server-client", peer_ca)
    name = ensure_etcd_name(config)
    initial = etcd_config.single_member(config, name)
    etcd_config.write(config, etcd_config.document(config, name, initial, timing=etcd_config.ALONE))
    pod = etcd.pod(config, "i", initial)
    for log in (tmp_path / "first.log", tmp_path / "second.log"):
        with network.running(binary("etcd"), *pod.args, log=log):
            wait_until_healthy(network, tls)
    lines = read_log(tmp_path / "first.log")
    started = next(line for line in lines if line["msg"] == "starting an etcd server")
    assert (started["heartbeat-interval"], started["election-timeout"]) == ("100ms", "1s")
    assert started["name"] == name
    assert started["quota-backend-bytes"] == (4294967296 if args else 2147483648)
    assert not [line["msg"] for line in lines if "deprecated" in str(line["msg"])]
    assert "starting initial corruption check" in [line["msg"] for line in read_log(tmp_path / "second.log")]


def read_log(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def wait_until_healthy(network: Isolated, tls: Path) -> None:
    """Wait until etcd answers a client with a certificate."""
    deadline = time.monotonic() + 30
    while True:
        result = network.run(
            binary("etcdctl"),
            "--endpoints=https://127.0.0.1:2379",
            f"--cacert={tls / 'server-ca.crt'}",
            f"--cert={tls / 'client.crt'}",
            f"--key={tls / 'client.key'}",
            *("endpoint", "health"),
        )
        if result.returncode == 0:
            return
        assert time.monotonic() < deadline, result.stderr
        time.sleep(0.2)


def test_environment_has_no_settings_of_its_own() -> None:
    """etcd takes every flag from ETCD_… variables, which would make the tests above say nothing."""
    assert not [name for name in os.environ if name.startswith("ETCD_")]
