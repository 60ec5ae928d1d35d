"""The command line of ``rke2 server`` and ``rke2 agent``, read the way RKE2's (urfave/cli) reads it.

``--flag value``, ``--flag=value``, ``-x value``; one dash or two make no difference; booleans take a value
only after ``=``. Not argparse: RKE2 has no abbreviations, and building 150 flags would cost start-up time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rke2.config.assignment import Assignment, explain_unknown
from rke2.config.flag import Command, Flag, FlagKind
from rke2.config.flags import aliases_of, flags_of
from rke2.errors import UnknownKeyError, UsageError

SOURCE = "the command line"
HELP = ("help", "h")


@dataclass(frozen=True)
class CommandLine:
    """What the user typed after the verb."""

    assignments: tuple[Assignment, ...] = ()
    help: bool = False


def parse(command: Command, argv: Sequence[str]) -> CommandLine:
    """Read the arguments that follow ``rke2 <command>``.

    Raises:
        UnknownKeyError: a flag the command does not have.
        UsageError: a flag without its value, or a stray argument.
    """
    words = iter(argv)
    found: list[Assignment] = []
    for word in words:
        if not word.startswith("-") or word in ("-", "--"):
            raise _stray(word, found)
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name in HELP:
            return CommandLine(tuple(found), help=True)
        flag = _lookup(command, name)
        found.append(Assignment(flag, value if equals else _value(flag, words), SOURCE))
    return CommandLine(tuple(found))


def _lookup(command: Command, name: str) -> Flag:
    flag = flags_of(command).get(name) or aliases_of(command).get(name)
    if flag is None:
        clause, remedy = explain_unknown(command, name, "--")
        raise UnknownKeyError(f"--{name} {clause}", remedy or f"see `rke2 {command} --help`")
    return flag


def _value(flag: Flag, words: Iterator[str]) -> str:
    if flag.kind is FlagKind.BOOL:
        return "true"
    try:
        return next(words)
    except StopIteration:
        raise UsageError(f"--{flag.name} needs a value", f"write --{flag.name}=<{flag.kind.value}>") from None


def _stray(word: str, before: Sequence[Assignment]) -> UsageError:
    if before and before[-1].flag.kind is FlagKind.BOOL:
        name = before[-1].flag.name
        return UsageError(f"unexpected argument {word!r} after --{name}", f"write --{name}={word}")
    return UsageError(f"unexpected argument {word!r}", "give settings as --flag=value")
