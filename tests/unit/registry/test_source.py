from __future__ import annotations

from pathlib import Path

import pytest

from rke2.errors import ConfigError
from rke2.registry.source import Source, Trust, rewrite


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
