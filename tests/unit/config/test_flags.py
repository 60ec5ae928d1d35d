"""What must hold for every row of the table."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from rke2.config.flag import Command, Flag, FlagKind
from rke2.config.flags import FLAGS, K3S_ONLY, aliases_of, flags_of
from rke2.config.values import parse_scalar

COMMANDS: tuple[Command, ...] = get_args(Command)


@pytest.mark.parametrize("command", COMMANDS)
def test_names_and_aliases_are_unique_in_a_command(command: Command) -> None:
    rows = [flag for flag in FLAGS if command in flag.commands]
    assert max(Counter(flag.name for flag in rows).values()) == 1
    assert max(Counter(flag.alias for flag in rows if flag.alias).values()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_no_k3s_flag_exists(command: Command) -> None:
    assert not K3S_ONLY & flags_of(command).keys()


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_default_is_of_the_flag_s_kind(flag: Flag) -> None:
    types = {
        FlagKind.BOOL: bool,
        FlagKind.INT: int,
        FlagKind.DURATION: float,
        FlagKind.STRING: str,
        FlagKind.LIST: tuple,
    }
    assert type(flag.initial) is types[flag.kind]
    if flag.kind is not FlagKind.LIST and flag.default:
        assert parse_scalar(flag.kind, flag.shown_default) == flag.default


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_only_lists_split_and_a_default_is_a_choice(flag: Flag) -> None:
    assert flag.kind is FlagKind.LIST or not flag.split
    assert not set(flag.choices) & set(flag.later)
    if flag.choices and flag.default:
        assert flag.default in flag.choices


def test_one_letter_forms_of_a_server() -> None:
    names = {letter: flag.name for letter, flag in aliases_of("server").items()}
    assert names == {
        "c": "config",
        "l": "log",
        "d": "data-dir",
        "o": "write-kubeconfig",
        "t": "token",
        "s": "server",
        "i": "node-ip",
    }
