from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from rke2.errors import ConfigError
from rke2.registry import source
from rke2.registry.source import Source, Trust, rewrite
from tests.authorities import certify, new_key


@pytest.mark.parametrize(
    ("rules", "name", "expected"),
    [
        ({"^rancher/(.*)": "mirror/rancher/$1"}, "rancher/pause", "mirror/rancher/pause"),
        ({"^library/(.*)": "x/$1", "(.*)": "all/$1"}, "rancher/pause", "all/rancher/pause"),
        ({"^(a)/(?P<rest>.*)": "${rest}/${1}x"}, "a/b", "b/ax"),
        ({"^(a)/(.*)": "$1x/$2"}, "a/b", "/b"),
        ({"^a": "$$"}, "a/b", "$/b"),
        ({"^other": "x"}, "a/b", "a/b"),
    ],
)
def test_rewrite(rules: dict[str, str], name: str, expected: str) -> None:
    assert rewrite(name, rules) == expected


def test_a_rule_that_is_no_expression() -> None:
    with pytest.raises(ConfigError, match=r"rewrite rule '\('"):
        rewrite("a/b", {"(": "x"})


def test_a_mirror_is_told_for_which_registry_it_stands() -> None:
    assert Source("https://m/v2", namespace="quay.io:443").query == "?ns=quay.io%3A443"
    assert Source("https://m/v2").query == ""


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_files_that_cannot_be_used(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    for trust in (Trust(ca_file=str(file)), Trust(cert_file=str(file), key_file=str(file))):
        with pytest.raises(ConfigError, match=str(file)):
            trust.context()


def test_authorities_are_found_on_systems_that_keep_them_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    file = tmp_path / "ca-bundle.crt"
    file.write_bytes(certify("system", key, "system", key).public_bytes(Encoding.PEM))
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "missing"))  # as OpenSSL's own place is there
    monkeypatch.setattr(source, "AUTHORITIES", (str(tmp_path / "also missing"), str(file)))
    assert len(Trust().context().get_ca_certs()) == 1


def test_authorities_that_are_named_are_the_only_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    named, other = tmp_path / "named.pem", tmp_path / "other.pem"
    for file in (named, other):
        file.write_bytes(certify(file.stem, key, file.stem, key).public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr(source, "AUTHORITIES", (str(other),))
    (found,) = Trust().context().get_ca_certs()
    assert found["subject"] == ((("commonName", "named"),),)
