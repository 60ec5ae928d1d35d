from __future__ import annotations

import base64
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from rke2.errors import KubeError
from rke2.kube.kubeconfig import ApiCredentials
from rke2.pki.pem import key_pem
from tests.authorities import certify, new_key, pem


def write(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def identity(tmp_path: Path) -> tuple[bytes, bytes]:
    key = new_key()
    return pem(certify("me", key, "me", key)), key_pem(key)


def test_certificates_by_path_and_embedded(tmp_path: Path, identity: tuple[bytes, bytes]) -> None:
    certificate, key = identity
    (tmp_path / "crt").write_bytes(certificate)
    (tmp_path / "key").write_bytes(key)
    by_path = {"client-certificate": str(tmp_path / "crt"), "client-key": str(tmp_path / "key")}
    embedded = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    ca = {"certificate-authority": str(tmp_path / "crt")}
    for user in (by_path, embedded):
        server, context, token = ApiCredentials(write(tmp_path / "config", ca, user)).current()
        assert (server, token) == ("https://127.0.0.1:6443", "")
        assert context is not None
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.cert_store_stats()["x509"] == 1


def test_a_renewed_certificate_makes_a_new_context(tmp_path: Path, identity: tuple[bytes, bytes]) -> None:
    certificate, key = identity
    (tmp_path / "identity").write_bytes(certificate + key)
    user = {"client-certificate": str(tmp_path / "identity"), "client-key": str(tmp_path / "identity")}
    credentials = ApiCredentials(write(tmp_path / "config", {}, user))
    _, first, _ = credentials.current()
    assert credentials.current()[1] is first
    os.utime(tmp_path / "identity", ns=(1, 1))
    assert credentials.current()[1] is not first


def test_files_that_are_gone_or_half_written_leave_what_was_read(
    tmp_path: Path, identity: tuple[bytes, bytes]
) -> None:
    """As after ``rke2 certificate rotate``, until the restart that it asks for."""
    path, content = tmp_path / "identity", b"".join(identity)
    path.write_bytes(content)
    user = {"client-certificate": str(path), "client-key": str(path)}
    credentials = ApiCredentials(write(tmp_path / "config", {}, user))
    before = credentials.current()
    path.write_bytes(content[:40])
    assert credentials.current() == before
    path.unlink()
    assert credentials.current() == before
    path.write_bytes(content)
    assert credentials.current()[1] is not before[1]


@pytest.mark.parametrize(
    "content", ["", "a: [", "{}", '{"contexts": [], "clusters": [], "users": [], "current-context": "x"}']
)
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(KubeError, match=str(path)):
        ApiCredentials(path).current()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match="nowhere"):
        ApiCredentials(tmp_path / "nowhere").current()
