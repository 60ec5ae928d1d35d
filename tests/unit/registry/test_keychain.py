from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from rke2.registry.keychain import credentials
from rke2.registry.source import RegistryCredentials

PAIR = base64.b64encode(b"user:pass:word").decode()


def home(tmp_path: Path, document: Any) -> dict[str, str]:
    (tmp_path / ".docker").mkdir(exist_ok=True)
    (tmp_path / ".docker/config.json").write_text(
        document if isinstance(document, str) else json.dumps(document)
    )
    return {"HOME": str(tmp_path), "PATH": str(tmp_path)}


def test_nothing_stored(tmp_path: Path) -> None:
    assert credentials("reg.example", {"HOME": str(tmp_path)}) is None
    assert credentials("reg.example", {}) is None
    assert credentials("reg.example", home(tmp_path, {})) is None


@pytest.mark.parametrize(
    "key",
    [
        "reg.example:5000",
        "https://reg.example:5000",
        "https://reg.example:5000/v1/",
        "http://reg.example:5000",
        "Reg.Example:5000",
    ],
)
def test_a_password(tmp_path: Path, key: str) -> None:
    environ = home(tmp_path, {"auths": {key: {"auth": PAIR}}})
    assert credentials("reg.example:5000", environ) == RegistryCredentials("user", "pass:word")
    assert credentials("other.example", environ) is None


@pytest.mark.parametrize(
    "key", ["reg.example:5001", "https://other.example/reg.example:5000", "a b", "https://"]
)
def test_a_password_for_somebody_else(tmp_path: Path, key: str) -> None:
    assert credentials("reg.example:5000", home(tmp_path, {"auths": {key: {"auth": PAIR}}})) is None


def test_docker_hub_has_a_name_of_its_own(tmp_path: Path) -> None:
    environ = home(tmp_path, {"auths": {"https://index.docker.io/v1/": {"username": "a", "password": "b"}}})
    assert credentials("docker.io", environ) == RegistryCredentials("a", "b")


def test_podmans_file_comes_after_dockers(tmp_path: Path) -> None:
    environ = home(tmp_path, {"auths": {"reg.example": {"auth": PAIR}}})
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"b.example": {"identitytoken": "t"}}}))
    environ["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
    assert credentials("b.example", environ) == RegistryCredentials(identity_token="t")
    assert credentials("reg.example", environ) == RegistryCredentials("user", "pass:word")


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_helper_is_asked(tmp_path: Path, key: str) -> None:
    environ = home(tmp_path, {key: "test" if key == "credsStore" else {"reg.example": "test"}})
    environ["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        "#!/bin/sh\nread host\n[ $host = reg.example ] || { echo credentials not found; exit 1; }\n"
        'echo \'{"ServerURL":"reg.example","Username":"u","Secret":"s"}\'\n'
    )
    helper.chmod(0o755)
    assert credentials("reg.example", environ) == RegistryCredentials("u", "s")
    assert credentials("other.example", environ) is None


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        {"auths": {"reg.example": {"auth": "%"}}},
        {"auths": ["reg.example"]},
        {"credHelpers": {"reg.example": "missing"}},
    ],
)
def test_what_cannot_be_used_is_reported_and_passed_over(
    tmp_path: Path, document: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert credentials("reg.example", home(tmp_path, document)) is None
    assert caplog.messages or document == "[]"


def test_secrets_are_not_printed() -> None:
    assert "pass" not in repr(RegistryCredentials("user", "pass", "pass"))
