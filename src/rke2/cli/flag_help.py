"""``--help`` of server and agent, made from the table of flags and grouped like the prefixes of RKE2's help."""

from __future__ import annotations

from collections.abc import Iterable

from rke2.cli import VERBS
from rke2.config.flag import Command, Flag, FlagKind
from rke2.config.flags import flags_of

_COLUMN = 46
_WIDTH = 120


def render(command: Command) -> str:
    """The help text of `command`."""
    groups: dict[str, list[Flag]] = {}
    for flag in flags_of(command).values():
        if not flag.hidden:
            groups.setdefault(flag.group, []).append(flag)
    sections = "\n\n".join(f" {title}\n{_rows(flags)}" for title, flags in groups.items())
    return f"""NAME:
   rke2 {command} - {VERBS[command][1]}

USAGE:
   rke2 {command} [OPTIONS]

   Options may also be keys of the configuration file, without the dashes.

OPTIONS:
{sections}

   {"--help, -h":{_COLUMN - 3}}Show this help"""


def _rows(flags: Iterable[Flag]) -> str:
    return "\n".join(_row(flag) for flag in flags)


def _row(flag: Flag) -> str:
    from textwrap import wrap

    name = f"   {_usage(flag)}"
    lines = wrap(_description(flag), _WIDTH - _COLUMN)
    if len(name) >= _COLUMN:
        lines.insert(0, "")
    indent = " " * _COLUMN
    return "\n".join([f"{name:{_COLUMN}}{lines[0]}".rstrip(), *(indent + line for line in lines[1:])])


def _usage(flag: Flag) -> str:
    value = "" if flag.kind is FlagKind.BOOL else " value"
    alias = f", -{flag.alias}{value}" if flag.alias else ""
    return f"--{flag.name}{value}{alias}"


def _description(flag: Flag) -> str:
    notes = [flag.help]
    if flag.choices:
        notes.append(f"({', '.join(flag.choices)})")
    if flag.shown_default:
        notes.append(f"(default: {flag.shown_default})")
    if flag.env:
        notes.append(f"[${flag.env[0]}]")
    if not flag.supported:
        notes.append("(not supported yet)")
    elif flag.refused:
        notes.append(f"(refused: {flag.refused[0]})")
    elif flag.later:
        notes.append(f"(not supported yet: {', '.join(flag.later)})")
    return " ".join(notes)
