"""``host:port`` as text: taken apart, and put together again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.host import addresses


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("10.0.0.1:9345", ("10.0.0.1", 9345)),
        ("[::1]:9345", ("::1", 9345)),
        ("server.example:1", ("server.example", 1)),
    ],
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert addresses.split(address) == parts
    assert addresses.host_port(*parts) == address


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1", "::1:9345", "[]:1", "[host]:1", "h:0", "h:65536", "h:²"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|between"):
        addresses.split(text)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        host, port = addresses.split(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536
