import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import JoinError
from rke2.etcd.members import db_info, node_of, parse_db_info, quorum
from rke2.etcd.messages import Member

MEMBERS = st.lists(
    st.builds(
        Member,
        st.integers(0, 2**64 - 1),
        st.text(max_size=8),
        st.lists(st.text(max_size=8), max_size=2).map(tuple),
        st.lists(st.text(max_size=8), max_size=2).map(tuple),
        st.booleans(),
    ),
    max_size=4,
).map(tuple)


@given(MEMBERS)
def test_a_member_list_survives_its_json(members: tuple[Member, ...]) -> None:
    assert parse_db_info(db_info(members)) == members


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["members", "ID", "peerURLs"]), part),
)


@given(DOCUMENTS)
def test_any_json_is_a_member_list_or_refused(document: object) -> None:
    with contextlib.suppress(JoinError):
        parse_db_info(json.dumps(document))


@pytest.mark.parametrize("body", [b"", b"404 page not found", b"[]", b"{}", b'{"members":[{"ID":1.5}]}'])
def test_what_is_no_member_list_is_refused(body: bytes) -> None:
    with pytest.raises(JoinError, match="/db/info"):
        parse_db_info(body)


@pytest.mark.parametrize(
    ("name", "node"), [("n1-1a2b3c4d", "n1"), ("a-b-c-00000000", "a-b-c"), ("", ""), ("plain", "")]
)
def test_the_node_is_the_name_without_its_suffix(name: str, node: str) -> None:
    assert node_of(name) == node


def test_a_majority_is_more_than_half() -> None:
    assert [quorum(count) for count in range(1, 6)] == [1, 2, 2, 3, 3]
