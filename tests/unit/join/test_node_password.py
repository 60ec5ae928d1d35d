from __future__ import annotations

import base64
import re

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from rke2.join import node_password


def text_of(password: str, salt: bytes = b"\x01" * 8, log_n: int = 4, r: int = 8, p: int = 1) -> str:
    """Computed by another implementation, with parameters that do not take long."""
    key = Scrypt(salt, 64, 1 << log_n, r, p).derive(password.encode())
    return f"$1:{salt.hex()}:{log_n}:{r}:{p}:{base64.b64encode(key).decode().rstrip('=')}"


def test_the_form() -> None:
    text = node_password.hash("pässword")
    assert re.fullmatch(r"\$1:[0-9a-f]{16}:15:8:1:[A-Za-z0-9+/]{86}", text)
    assert node_password.verify(text, "pässword")
    assert not node_password.verify(text, "password")
    assert node_password.hash("pässword") != text, "the salt is random"


def test_the_hash_is_scrypt_over_the_decoded_salt() -> None:
    text = node_password.hash("secret")
    salt = bytes.fromhex(text.split(":")[1])
    assert text == text_of("secret", salt, 15)


@pytest.mark.parametrize("parameters", [(4, 8, 1), (10, 1, 2), (1, 1, 4)])
def test_parameters_are_those_of_the_text(parameters: tuple[int, int, int]) -> None:
    text = text_of("secret", b"\xff" * 16, *parameters)
    assert node_password.verify(text, "secret")
    assert not node_password.verify(text, "Secret")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        text_of("secret").replace("$1", "$2"),
        text_of("secret")[:-60],
        text_of("secret") + "=",
        text_of("secret") + "\n",
        text_of("secret").replace(":4:8:1:", ":0:8:1:"),
        text_of("secret").replace(":4:8:1:", ":63:8:1:"),
        text_of("secret").replace(":4:8:1:", ":20:8:1:"),
        text_of("secret").replace(":4:8:1:", ":15:999:1:"),
        text_of("secret").replace(":4:8:1:", ":4:8:99:"),
        text_of("secret").replace(":4:8:1:", ":16:1:1:"),
        text_of("secret").replace(":4:8:1:", ":4:0:1:"),
    ],
)
def test_what_is_no_hash_matches_nothing(text: str) -> None:
    assert not node_password.verify(text, "secret")
