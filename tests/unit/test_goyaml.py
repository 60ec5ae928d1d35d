"""YAML as Go reads and should get it; `tests/contract/test_goyaml.py` asks Go itself."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from rke2 import goyaml


@pytest.mark.parametrize(
    "text", ["1e3", "12E5", "7831e12", "08", "0o17", "y", "n", "Y", "1_0", "+.inf", "0B1"]
)
def test_strings_that_go_takes_for_something_else_are_quoted(text: str) -> None:
    assert goyaml.dump({"a": text}) == f"a: '{text}'\n"
    assert goyaml.dump_all([{"a": text}]) == f"a: '{text}'\n"


def test_what_go_reads_right_keeps_its_bytes() -> None:
    """Static pods whose text changes are restarted."""
    document = {
        "args": [
            "--a=1",
            "--bind-address=::1",
            "yes",
            "22:22",
            "2001-01-01",
            "",
            "null",
            "a b",
            "é",
            "#x",
            "10m",
        ],
        "numbers": [1, -5, 1.5, 1e16, True, None],
        "text": "a\nb\n",
        "long": "word " * 60,
    }
    styles: tuple[dict[str, Any], ...] = ({}, {"width": 1000})
    for style in styles:
        assert goyaml.dump(document, **style) == yaml.safe_dump(document, sort_keys=False, **style)


@pytest.mark.parametrize(
    "text", ["a: .inf", "a: .nan", "{? [1]: 2}", "~: 1", "a: [", "a: 1\n---\nb: 1", b"a: \xff"]
)
def test_what_cannot_be_read_is_an_error(text: str | bytes) -> None:
    with pytest.raises(goyaml.Error):
        goyaml.load(text)
