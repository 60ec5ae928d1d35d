from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from rke2.registry.providers import credentials, matches, usable
from rke2.registry.reference import ImageReference
from rke2.registry.source import RegistryCredentials

IMAGE = ImageReference.parse("1234.dkr.ecr.eu.example.com/team/app:v1")

PROGRAM = """#!/bin/sh
cat > $REQUEST
echo '{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
 "cacheKeyType": "Image", "auth": {"other.example": {"username": "x", "password": "y"},
 "*.dkr.ecr.*.example.com": {"username": "'$1'", "password": "secret"}}}'
"""


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("1234.dkr.ecr.eu.example.com", True),
        ("*.dkr.ecr.*.example.com", True),
        ("*.dkr.ecr.*.example.com/team", True),
        ("https://*.dkr.ecr.eu.example.com", True),
        ("*.dkr.ecr.*.example.com/other", False),
        ("*.example.com", False),
        ("*.dkr.ecr.eu.example.com:443", False),
    ],
)
def test_patterns(pattern: str, covered: bool) -> None:
    assert matches(pattern, IMAGE) is covered


def configured(tmp_path: Path, program: str, **more: object) -> tuple[Path, Path]:
    programs, config = tmp_path / "bin", tmp_path / "config.yaml"
    assert not usable(programs, config)
    programs.mkdir()
    (programs / "own").write_text(program)
    (programs / "own").chmod(0o755)
    provider = {
        "name": "own",
        "matchImages": ["*.dkr.ecr.*.example.com"],
        "defaultCacheDuration": "1h",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "args": ["me"],
        "env": [{"name": "REQUEST", "value": str(tmp_path / "request")}],
        **more,
    }
    kind = {"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig"}
    config.write_text(json.dumps({**kind, "providers": [provider]}))
    assert usable(programs, config)
    return programs, config


def test_a_provider_is_asked(tmp_path: Path) -> None:
    programs, config = configured(tmp_path, PROGRAM)
    assert credentials(programs, config, IMAGE) == RegistryCredentials("me", "secret")
    assert json.loads((tmp_path / "request").read_text()) == {
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": IMAGE.name,
    }
    assert credentials(programs, config, ImageReference.parse("busybox")) is None


def test_one_that_wants_a_token_is_left_out(tmp_path: Path) -> None:
    programs, config = configured(tmp_path, PROGRAM, tokenAttributes={"requireServiceAccount": True})
    assert credentials(programs, config, IMAGE) is None
    assert not (tmp_path / "request").exists()


@pytest.mark.parametrize(
    "program", ["#!/bin/sh\necho no luck >&2; exit 1\n", "#!/bin/sh\necho {\n", "#!/none\n"]
)
def test_one_that_fails_is_reported(tmp_path: Path, program: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert credentials(*configured(tmp_path, program), IMAGE) is None
    assert "image credential provider" in caplog.text


def test_a_configuration_that_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    programs, config = configured(tmp_path, PROGRAM)
    config.write_text("providers: 1")
    assert credentials(programs, config, IMAGE) is None
    assert str(config) in caplog.text
