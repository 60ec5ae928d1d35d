import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config import toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
DOCUMENTS = st.recursive(
    st.dictionaries(TEXT, VALUES, max_size=3),
    lambda inner: st.dictionaries(TEXT, st.one_of(VALUES, inner), max_size=3),
    max_leaves=6,
)


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    assert tomllib.loads(toml.dump(document)) == document


def test_values_stand_before_tables_and_tables_keep_their_order() -> None:
    text = toml.dump({"z": {"b.c": {"x": 1}, "a": {}}, "v": ["s", True]})
    assert text == 'v = ["s", true]\n\n[z."b.c"]\nx = 1\n\n[z.a]\n'


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml.dump({"a": None})
