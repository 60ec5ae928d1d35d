import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import ConfigError
from rke2.staticpods.arguments import given_keys, last_value, merge, parse_item

KEYS = st.sampled_from(["alpha", "beta", "gamma-delta"])
VALUES = st.text(alphabet="abc=,+-*", max_size=4)
OPERATORS = st.sampled_from(["=", "+=", "-="])
ITEMS = st.lists(st.tuples(KEYS, OPERATORS, VALUES), max_size=6)


@pytest.mark.parametrize(
    ("items", "values"),
    [
        ([], ["default"]),
        (["k=1"], ["1"]),
        (["k=1", "k=2"], ["1", "2"]),
        (["k+=1"], ["default", "1"]),
        (["k-=1"], ["1", "default"]),
        (["k=1", "k+=2"], ["1", "2"]),
        (["k=1", "k-=2"], ["2", "1"]),
        (["k+=1", "k=2"], ["default", "1", "2"]),
        (["k-=1", "k+=2"], ["1", "default", "2"]),
        (["--k=1"], ["1"]),
        (["k"], ["true"]),
        (["k="], [""]),
    ],
)
def test_values_of_one_key(items: list[str], values: list[str]) -> None:
    assert merge({"k": "default"}, items) == tuple(f"--k={value}" for value in values)


def test_append_without_default_just_sets() -> None:
    assert merge({}, ["k+=1"]) == ("--k=1",)


def test_keys_are_sorted_and_values_keep_their_order() -> None:
    assert merge({"b": "0", "a": "0"}, ["c=2", "c=1"]) == ("--a=0", "--b=0", "--c=2", "--c=1")


def test_only_the_first_equals_sign_splits() -> None:
    assert merge({}, ["feature-gates=A=true,B=false"]) == ("--feature-gates=A=true,B=false",)


@pytest.mark.parametrize("text", ["", "--", "=x", "+=x", "--=x"])
def test_item_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no name"):
        parse_item(text)


@given(ITEMS)
def test_every_given_value_is_emitted_once_and_the_default_only_if_extended_first(
    items: list[tuple[str, str, str]],
) -> None:
    merged = merge({"alpha": "DEFAULT"}, [f"{key}{operator}{value}" for key, operator, value in items])
    for key in {"alpha", *(key for key, _, _ in items)}:
        emitted = [arg.split("=", 1)[1] for arg in merged if arg.startswith(f"--{key}=")]
        own = [(operator, value) for name, operator, value in items if name == key]
        expected = [value for _, value in own]
        if key == "alpha" and (not own or own[0][0] != "="):
            expected.append("DEFAULT")
        assert sorted(emitted) == sorted(expected)
    assert [arg.split("=")[0] for arg in merged] == sorted(arg.split("=")[0] for arg in merged)


@given(ITEMS, KEYS, VALUES)
def test_a_final_plain_item_has_the_last_word(
    items: list[tuple[str, str, str]], key: str, value: str
) -> None:
    texts = [f"{k}{operator}{v}" for k, operator, v in items]
    merged = merge({key: "DEFAULT"}, [*texts, f"{key}={value}"])
    assert [arg for arg in merged if arg.startswith(f"--{key}=")][-1] == f"--{key}={value}"


def test_looking_at_the_operators_items() -> None:
    items = ["--a=1", "b+=2", "a=3"]
    assert given_keys(items) == {"a", "b"}
    assert last_value(items, "a") == "3"
    assert last_value(items, "z") is None
