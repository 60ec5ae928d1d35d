from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.commandline import parse
from rke2.config.flag import Flag, FlagKind
from rke2.config.flags import FLAGS
from rke2.errors import RKE2Error, UnknownKeyError, UsageError

SERVER_FLAGS = [flag for flag in FLAGS if "server" in flag.commands]


def pairs(*argv: str) -> list[tuple[str, str]]:
    return [(item.flag.name, item.text) for item in parse("server", argv).assignments]


@pytest.mark.parametrize(
    "argv",
    [
        ("--token", "x"),
        ("--token=x",),
        ("-token", "x"),
        ("-token=x",),
        ("-t", "x"),
        ("-t=x",),
        ("--t", "x"),
    ],
)
def test_every_way_to_write_a_value(argv: tuple[str, ...]) -> None:
    assert pairs(*argv) == [("token", "x")]


def test_booleans_take_a_value_only_after_the_equals_sign() -> None:
    assert pairs("--debug", "--selinux=false") == [("debug", "true"), ("selinux", "false")]
    with pytest.raises(UsageError, match="unexpected argument 'false' after --debug") as caught:
        pairs("--debug", "false")
    assert caught.value.remedy == "write --debug=false"


def test_a_value_may_look_like_a_flag_or_hold_equals_signs() -> None:
    assert pairs("--kubelet-arg", "--v=2", "--kube-apiserver-arg=a=b=c") == [
        ("kubelet-arg", "--v=2"),
        ("kube-apiserver-arg", "a=b=c"),
    ]


def test_lists_keep_their_order_and_commas() -> None:
    assert pairs("--tls-san", "a,b", "--tls-san=c") == [("tls-san", "a,b"), ("tls-san", "c")]


@pytest.mark.parametrize(
    ("word", "message", "remedy"),
    [
        ("--clustercidr", "--clustercidr is not a flag of `rke2 server`", "did you mean --cluster-cidr?"),
        ("--flannel-backend", "is a flag of k3s that RKE2 does not have", "remove --flannel-backend"),
        ("--zzzz", "--zzzz is not a flag", "see `rke2 server --help`"),
    ],
)
def test_unknown_flags(word: str, message: str, remedy: str) -> None:
    with pytest.raises(UnknownKeyError, match=message) as caught:
        parse("server", [word, "x"])
    assert caught.value.remedy == remedy


def test_a_server_flag_is_unknown_to_the_agent() -> None:
    with pytest.raises(UnknownKeyError, match="--tls-san is a flag of `rke2 server`, not of `rke2 agent`"):
        parse("agent", ["--tls-san", "x"])


def test_missing_value_and_stray_arguments() -> None:
    with pytest.raises(UsageError, match="--token needs a value"):
        parse("server", ["--token"])
    for word in ("foo", "-", "--", ""):
        with pytest.raises(UsageError, match="unexpected argument"):
            parse("server", [word])


def test_help_wins_over_what_follows() -> None:
    assert parse("server", ["--debug", "-h", "--nonsense"]).help


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(st.sampled_from(SERVER_FLAGS), texts, st.booleans())))
def test_what_is_written_is_what_is_read(items: list[tuple[Flag, str, bool]]) -> None:
    words: list[str] = []
    for flag, value, joined in items:
        one_word = joined or flag.kind is FlagKind.BOOL
        words += [f"--{flag.name}={value}"] if one_word else [f"--{flag.name}", value]
    assert pairs(*words) == [(flag.name, value) for flag, value, _ in items]


@given(st.lists(st.text(max_size=12)))
def test_any_words_are_understood_or_refused_by_a_message(words: list[str]) -> None:
    try:
        parse("server", words)
    except RKE2Error as error:
        assert error.message
