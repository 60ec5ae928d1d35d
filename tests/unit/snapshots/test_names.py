"""Names of snapshots: exact, whatever base name and node look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.snapshots import is_base_name
from rke2.snapshots.names import Name, parse, time_in

BASES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
NODES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@given(BASES, NODES, st.integers(0, 10**12 - 1), st.sampled_from(("", ".zip", ".zst")))
def test_a_name_is_read_back(base: str, node: str, taken: int, suffix: str) -> None:
    name = Name(base, node, taken, suffix)
    assert parse(str(name), base, node) == name
    assert time_in(str(name)) == taken
    assert is_base_name(base)


@pytest.mark.parametrize(
    "file",
    [
        "etcd-snapshot-weekly-node1-1700000000",
        "etcd-snapshot-node11-1700000000",
        "etcd-snapshot-node1-1700000000.part",
        "etcd-snapshot-node1-1700000000.zip.part",
        "etcd-snapshot-node1-17000000x0",
        "etcd-snapshot-node1-",
        "etcd-snapshot-node1-١٧٠٠",
        "etcd-snapshot-node1",
        "",
    ],
)
def test_another_ones_file_is_not_ours(file: str) -> None:
    assert parse(file, "etcd-snapshot", "node1") is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "-flag", ".hidden", "a b", "a\n", "ä", "x" * 129]
)
def test_what_is_no_part_of_a_path_is_no_base_name(name: str) -> None:
    assert not is_base_name(name)


@pytest.mark.parametrize("file", ["", "plain", "plain.zip", "a-", "a-12x", "a-1234567890123"])
def test_a_name_without_a_time_has_none(file: str) -> None:
    assert time_in(file) is None
