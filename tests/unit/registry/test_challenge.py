from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from rke2.registry.challenge import Challenge, parse

names = st.text(string.ascii_lowercase + "-_", min_size=1, max_size=8)
values = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=30)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(names, st.dictionaries(names, values, min_size=1, max_size=4))
def test_what_is_written_is_read(scheme: str, parameters: dict[str, str]) -> None:
    text = ",".join(f"{key}={quoted(value)}" for key, value in parameters.items())
    assert parse([f"{scheme.title()} {text}"]) == (Challenge(scheme, parameters),)


@given(st.lists(st.text(max_size=60), max_size=3))
def test_nothing_makes_it_fail(headers: list[str]) -> None:
    parse(headers)


def test_several_in_one_header_and_in_several() -> None:
    bearer = 'Bearer realm="https://auth.example/token",service="reg", scope="repository:a/b:pull,push"'
    parsed = parse([f'Basic realm="x", {bearer}', "Negotiate"])
    assert [challenge.scheme for challenge in parsed] == ["basic", "bearer", "negotiate"]
    assert parsed[1].parameters == {
        "realm": "https://auth.example/token",
        "service": "reg",
        "scope": "repository:a/b:pull,push",
    }
