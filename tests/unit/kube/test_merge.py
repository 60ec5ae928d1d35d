from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.kube.merge import is_built_in, merge_patch, three_way_merge

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2)
OBJECTS = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=3,
)


def merge(original: Any, modified: Any, current: Any, by_identity: bool = True) -> dict[str, Any]:
    return three_way_merge(original, modified, current, by_identity=by_identity)


def apply_patch(target: Any, patch: Any) -> Any:
    """RFC 7386, as the RFC states it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_patch(result.get(key), value)
    return result


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


@given(OBJECTS, OBJECTS)
def test_the_patch_leads_from_one_object_to_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert apply_patch(
        without_nulls(old), merge_patch(without_nulls(old), without_nulls(new))
    ) == without_nulls(new)


@given(OBJECTS, OBJECTS)
def test_merging_again_changes_nothing(modified: dict[str, Any], current: dict[str, Any]) -> None:
    once = merge({}, modified, without_nulls(current))
    assert merge(modified, modified, once) == once


@given(OBJECTS, OBJECTS, OBJECTS)
def test_everything_wanted_is_there_afterwards(
    original: dict[str, Any], modified: dict[str, Any], current: dict[str, Any]
) -> None:
    merged = merge(original, without_nulls(modified), current)
    assert merge_patch(merged, {**merged, **merge({}, without_nulls(modified), merged)}) == {}


@pytest.mark.parametrize(
    ("old", "new"), [(1, True), (False, 0), ([1], [True]), ([{"a": 0}], [{"a": False}]), ([1], [1, 2])]
)
def test_a_number_is_no_truth_value(old: Any, new: Any) -> None:
    """As it is for Python."""
    patch = merge_patch({"a": old}, {"a": new})
    assert json.dumps(patch) == json.dumps({"a": new})


def test_fields_of_others_stay_and_fields_no_longer_wanted_go() -> None:
    original = {"data": {"mine": "1", "gone": "1"}}
    modified = {"data": {"mine": "2"}}
    current = {"data": {"mine": "1", "gone": "changed by hand", "theirs": "x"}, "other": 1}
    assert merge(original, modified, current) == {"data": {"mine": "2", "theirs": "x"}, "other": 1}


def test_null_means_absent() -> None:
    assert merge({}, {"a": None, "b": {"c": None}}, {"a": 1, "b": {"c": 1, "d": 2}}) == {"b": {"d": 2}}


def test_containers_merge_by_name() -> None:
    original = {"containers": [{"name": "app", "image": "a:1"}, {"name": "old", "image": "o"}]}
    modified = {"containers": [{"name": "app", "image": "a:2"}]}
    current = {
        "containers": [
            {"name": "injected", "image": "i"},
            {"name": "app", "image": "a:1", "imagePullPolicy": "Always"},
            {"name": "old", "image": "o"},
        ]
    }
    assert merge(original, modified, current)["containers"] == [
        {"name": "app", "image": "a:2", "imagePullPolicy": "Always"},
        {"name": "injected", "image": "i"},
    ]


def test_service_ports_merge_by_port_and_protocol() -> None:
    modified = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    current = {
        "ports": [
            {"port": 53, "protocol": "UDP", "nodePort": 30053},
            {"port": 53, "protocol": "TCP", "nodePort": 30054},
        ]
    }
    assert merge(modified, modified, current) == current


def test_container_ports_without_protocol_are_tcp() -> None:
    current = {"ports": [{"containerPort": 80, "protocol": "TCP"}]}
    assert merge({}, {"ports": [{"containerPort": 80, "name": "web"}]}, current) == {
        "ports": [{"containerPort": 80, "name": "web", "protocol": "TCP"}]
    }


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([{"name": "a"}, {"name": "a"}], id="same identity twice"),
        pytest.param([{"image": "x"}], id="no identity"),
        pytest.param(["a"], id="not a mapping"),
        pytest.param([], id="emptied"),
    ],
)
def test_lists_without_identities_are_replaced(entries: list[Any]) -> None:
    merged = merge({"containers": [{"name": "b"}]}, {"containers": entries}, {"containers": [{"name": "b"}]})
    assert merged == {"containers": entries}


def test_lists_of_custom_resources_are_replaced() -> None:
    merged = merge({}, {"containers": [{"name": "a"}]}, {"containers": [{"name": "b"}]}, by_identity=False)
    assert merged == {"containers": [{"name": "a"}]}


def test_the_protocol_of_a_rule_is_not_an_identity_of_unknown_lists() -> None:
    merged = merge({}, {"rules": [{"name": "a"}]}, {"rules": [{"name": "b"}]})
    assert merged == {"rules": [{"name": "a"}]}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("", True),
        ("apps", True),
        ("networking.k8s.io", True),
        ("helm.cattle.io", False),
        ("k8s.io.evil", False),
    ],
)
def test_which_groups_are_built_in(group: str, expected: bool) -> None:
    assert is_built_in(group) is expected
