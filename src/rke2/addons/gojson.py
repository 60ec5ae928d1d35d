"""JSON as Go's encoder writes maps: what is hashed or compared as text has to be theirs to the byte."""

from __future__ import annotations

from typing import Any

import msgspec

_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
"""Characters that Go escapes for HTML and JavaScript; they are found in strings only."""


def go_json(value: Any) -> bytes:
    """`value` with sorted keys, without spaces, characters of HTML escaped."""
    content = msgspec.json.encode(value, order="sorted")
    for character, escape in _ESCAPES:
        content = content.replace(character, escape)
    return content
