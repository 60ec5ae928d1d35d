from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.addons.apply import patch_for
from rke2.addons.objectset import APPLIED, Owner, applied_of, encode_applied, is_prunable, marked, truncated
from rke2.kube.objects import GVK

ADDON = Owner(GVK("k3s.cattle.io", "v1", "Addon"), "kube-system", "demo")
LONG = "x" * 65


def config_map(**data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "b"},
        "data": data,
    }


def stored(obj: dict[str, Any]) -> dict[str, Any]:
    """As the API server would give it back."""
    meta = {
        **obj["metadata"],
        "uid": "u",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**obj, "metadata": meta}


def test_hash_and_annotations() -> None:
    # sha1("" + "k3s.cattle.io/v1, Kind=Addon" + "demo" + "kube-system")
    assert ADDON.hash == "fee0481ba4ca6841db1a656de805ae2a797ec50c"
    desired = marked({**config_map(k="v"), "status": {}}, ADDON)
    assert "status" not in desired
    assert desired["metadata"]["labels"] == {"objectset.rio.cattle.io/hash": ADDON.hash}
    annotations = dict(desired["metadata"]["annotations"])
    applied = annotations.pop(APPLIED)
    assert annotations == {
        "objectset.rio.cattle.io/id": "",
        "objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon",
        "objectset.rio.cattle.io/owner-name": "demo",
        "objectset.rio.cattle.io/owner-namespace": "kube-system",
    }
    assert "=" not in applied
    copy = json.loads(gzip.decompress(base64.b64decode(applied + "==")))
    assert copy["data"] == {"k": "v"}
    assert copy["metadata"]["annotations"] == annotations


def test_marking_leaves_the_original_alone_and_is_stable() -> None:
    obj = config_map(k="v")
    first, second = marked(obj, ADDON), marked(obj, ADDON)
    assert obj == config_map(k="v")
    assert first == second
    assert marked(first, ADDON) == first


def test_long_strings_are_cut_except_identities_in_lists() -> None:
    obj = {
        "data": {"k": LONG, "name": LONG},
        "containers": [{"name": LONG, "image": LONG, "sub": {"name": LONG}}],
    }
    assert truncated(obj) == {
        "data": {"k": LONG[:64], "name": LONG[:64]},
        "containers": [{"name": LONG, "image": LONG[:64], "sub": {"name": LONG[:64]}}],
    }


def test_plain_json_is_read_too() -> None:
    assert applied_of({"metadata": {"annotations": {APPLIED: '{"a":1}'}}}) == {"a": 1}


@pytest.mark.parametrize("text", ["", "!!", "AAAA", "{", "H4sI", "[]"])
def test_an_unreadable_copy_counts_as_none(text: str) -> None:
    assert applied_of({"metadata": {"annotations": {APPLIED: text}}}) == {}


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=100) | st.integers(-5, 5), max_size=5))
def test_the_copy_can_be_read_back(data: dict[str, Any]) -> None:
    live = {"metadata": {"annotations": {APPLIED: encode_applied({"data": data})}}}
    assert applied_of(live) == {"data": truncated(data)}


def test_nothing_changed_means_no_patch() -> None:
    assert patch_for(marked(config_map(k="v"), ADDON), stored(marked(config_map(k="v"), ADDON))) == {}


def test_another_compression_of_the_same_copy_means_no_patch() -> None:
    live = stored(marked(config_map(k="v"), ADDON))
    live["metadata"]["annotations"][APPLIED] = json.dumps(applied_of(live))
    assert patch_for(marked(config_map(k="v"), ADDON), live) == {}


def test_a_removed_key_is_removed_and_a_foreign_one_stays() -> None:
    live = stored(marked(config_map(old="1", same="s"), ADDON))
    live["data"]["foreign"] = "f"
    patch = patch_for(marked(config_map(same="s"), ADDON), live)
    assert patch["data"] == {"old": None}
    assert patch["metadata"].keys() == {"annotations"}
    assert patch["metadata"]["annotations"].keys() == {APPLIED}


def test_a_foreign_object_is_taken_over() -> None:
    live = stored(config_map(theirs="x"))
    patch = patch_for(marked(config_map(k="v"), ADDON), live)
    assert patch["data"] == {"k": "v"}
    assert patch["metadata"]["labels"] == {"objectset.rio.cattle.io/hash": ADDON.hash}


def test_prune_can_be_forbidden_on_the_live_object() -> None:
    assert is_prunable({"metadata": {}})
    assert not is_prunable({"metadata": {"labels": {"objectset.rio.cattle.io/prune": "false"}}})
