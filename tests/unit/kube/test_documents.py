from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.kube.documents import ManifestError, load_documents, load_manifest

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn", "Zl", "Zp")), max_size=8
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=3)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("22:22", "22:22"),
        ("1:30:00", "1:30:00"),
        ("0644", 0o644),
        ("0o644", 0o644),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("089", 89),
        ("1e3", 1000),
        (".5", 0.5),
        ("1.10", 1.1),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("1.2.3", "1.2.3"),
        ("10m", "10m"),
        ("'5'", "5"),
    ],
)
def test_scalars_are_what_go_makes_of_them(text: str, expected: object) -> None:
    (document,) = load_documents(f"value: {text}")
    value = document["value"]
    assert (value, type(value)) == (expected, type(expected))


def test_keys_become_strings() -> None:
    assert load_documents("{on: 1, 2: b, 1.5: c}") == [{"true": 1, "2": "b", "1.5": "c"}]


def test_merge_keys_and_anchors() -> None:
    assert load_documents("a: &x {k: 1}\nb: {<<: *x, l: 2}")[0]["b"] == {"k": 1, "l": 2}


def test_empty_documents_are_dropped() -> None:
    text = "---\n# nothing\n---\n" + json.dumps(CONFIG_MAP) + "\n---\n\n"
    assert load_manifest(text) == [CONFIG_MAP]


def test_lists_are_expanded() -> None:
    other = {**CONFIG_MAP, "metadata": {"name": "b"}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [CONFIG_MAP, other]})
    assert load_manifest(text) == [CONFIG_MAP, other]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "line 2, column 1"),
        ("a:\n\tb: 1", "line 2"),
        ("just text", "a str, not a Kubernetes object"),
        ("- 1", "a list, not a Kubernetes object"),
        ("metadata: {name: a}", "no apiVersion and no kind"),
        ("{apiVersion: v1, kind: Pod}", "a Pod has no metadata.name"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: 5}}", "a Pod has no metadata.name"),
        ("{apiVersion: v1, kind: List, items: [1]}", "a int, not a Kubernetes object"),
        ("a: *nowhere", "line 1, column 4: found undefined alias"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, told: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(told)) as caught:
        load_manifest(text)
    assert "\n" not in str(caught.value)


@given(JSON_VALUES)
def test_json_is_read_as_json(value: Any) -> None:
    assert load_documents(json.dumps({"v": value})) == [{"v": value}]


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_manifest(text)
    except ManifestError as error:
        assert str(error)
