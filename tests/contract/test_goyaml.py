"""What we read is what Go reads, and Go reads what we wrote: both asked of Go's own libraries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rke2 import goyaml
from tests.goyaml.readers import READERS, from_json, read

SLOW = settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
TRICKY = [
    "1e3",
    "12E5",
    "7831e12",
    "08",
    "0o17",
    "0O17",
    "017",
    "0x1F",
    "0X1f",
    "0b11",
    "0B1",
    "-0b1",
    "-0o7",
    "+1",
    "1_000",
    "_1",
    "1__0",
    "22:22",
    "2222:22",
    "1:30:00",
    "y",
    "n",
    "Y",
    "N",
    "yes",
    "No",
    "on",
    "OFF",
    "true",
    "null",
    "Null",
    "~",
    ".5",
    ".5_0",
    "._5",
    "5.",
    "1.e3",
    "+.5",
    "-.5e-3",
    "1.0",
    "1.10",
    "1e400",
    "99999999999999999999",
    "-9223372036854775809",
    ".inf",
    "-.INF",
    ".nan",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "<<",
    "=",
    "-",
    "+",
    ".",
    "..",
    "0",
    "-0",
    "00",
    "0_",
    "0x",
    "0xg",
    "0o8",
    "0b2",
    "1e",
    "1e+",
    "e1",
    "inf",
    "nan",
    "1.2.3",
    "10m",
    "0777",
    "0_7",
    "18446744073709551615",
    "18446744073709551616",
    "1E+21",
    "123456789012345678901234",
    "yEs",
    "nULL",
    "tRue",
    "---",
]
LETTERS = st.text("0123456789+-._eExXoObByYnN:~<=TZinfal", min_size=1, max_size=7)
SCALARS = st.sampled_from(TRICKY) | LETTERS
STRINGS = SCALARS | st.text(st.characters(codec="utf-8"), max_size=40) | st.text(" ab\n\t#:-'\"", max_size=90)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)
STYLES: dict[str, dict[str, Any]] = {
    "plain": {},
    "values": {"default_flow_style": False, "width": 2**20, "allow_unicode": True, "sort_keys": True},
    "static pods": {"width": 1000},
    "charts": {},
}


def ours(text: str) -> Any:
    try:
        return from_json(json.dumps(goyaml.load(text)))
    except goyaml.Error:
        return "error"


def written(document: Any, style: str) -> str:
    if style == "charts":
        return goyaml.dump_all([document], width=1 << 30)
    return goyaml.dump(document, **STYLES[style])


def kubernetes(answer: dict[str, Any]) -> Any:
    return "error" if answer["kubernetes"]["error"] else answer["kubernetes"]["value"]


@SLOW
@given(st.lists(SCALARS, min_size=20, max_size=60))
def test_a_bare_scalar_is_what_kubernetes_makes_of_it(scalars: list[str]) -> None:
    texts = [f"value: {scalar}\n" for scalar in (*TRICKY, *scalars)]
    for text, answer in zip(texts, read(texts), strict=True):
        found = ours(text)
        if found != "error":  # the parsers differ in what they refuse; not in what they read
            assert found == kubernetes(answer), text


def test_a_bare_key_is_what_kubernetes_makes_of_it() -> None:
    # Go writes large numbers as keys with the digits of a 32-bit float, which nobody means.
    keys = [
        key for key in TRICKY if "e" not in key.lower() and len(key) < 18 and key not in ("<<", "---", "~")
    ]
    texts = [f"{key}: 1\n" for key in keys]
    for text, answer in zip(texts, read(texts), strict=True):
        if ours(text) != "error":
            assert ours(text) == kubernetes(answer), text


@pytest.mark.parametrize("style", STYLES)
@SLOW
@given(st.lists(VALUES, min_size=5, max_size=20))
def test_every_reader_gets_back_what_was_written(style: str, values: list[Any]) -> None:
    documents = [{"value": value} for value in (*TRICKY, *values)] + [{key: 1} for key in TRICKY]
    texts = [written(document, style) for document in documents]
    for text, document, answer in zip(texts, documents, read(texts), strict=True):
        assert goyaml.load(text) == document, text
        for reader in READERS:
            assert answer[reader] == {"value": document, "error": ""}, (reader, text)
