"""What one flag is: a row of the table in `rke2.config.flags`.

A flag has one name that serves the command line (``--name``), config.yaml (``name:``), the environment, the
reference documentation and the JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Literal

Command = Literal["server", "agent"]
SERVER: tuple[Command, ...] = ("server",)
AGENT: tuple[Command, ...] = ("agent",)
BOTH: tuple[Command, ...] = ("server", "agent")

Value = bool | int | float | str | tuple[str, ...]
"""A parsed value; durations are seconds (float)."""


class FlagKind(Enum):
    """How the text of a flag is read."""

    BOOL = "boolean"
    INT = "integer"
    DURATION = "duration"
    STRING = "string"
    LIST = "list"
    """Repeatable, not split by the parser; `Flag.split` says that its consumer splits on commas."""


_EMPTY: Mapping[FlagKind, Value] = {
    FlagKind.BOOL: False,
    FlagKind.INT: 0,
    FlagKind.DURATION: 0.0,
    FlagKind.STRING: "",
    FlagKind.LIST: (),
}


@dataclass(frozen=True)
class Flag:
    """One flag of ``rke2 server`` and/or ``rke2 agent``.

    Args:
        group: section of ``--help``, named like the parenthesised prefixes of RKE2's help.
        default: the parsed default; None takes the empty value of the kind.
        default_text: what documentation says instead when the default is computed (``detected``).
        alias: the one-letter form, without the dash.
        env: environment variables, the first one set wins; the ones after the first are deprecated.
        split: each item may hold several values separated by commas.
        choices: the values this release implements; empty allows any.
        later: further values of RKE2 that are rejected as not supported yet.
        hidden: accepted, but left out of ``--help``.
        supported: False rejects every value but the default as not supported yet.
        refused: why every value but the default is refused for good, and what to do instead.
        secret: masked wherever flags are shown.
        file: the flag may be a key of config.yaml.
    """

    name: str
    help: str
    kind: FlagKind = FlagKind.STRING
    group: str = ""
    default: Value | None = None
    default_text: str = ""
    alias: str = ""
    env: tuple[str, ...] = ()
    commands: tuple[Command, ...] = SERVER
    split: bool = False
    choices: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    hidden: bool = False
    supported: bool = True
    refused: tuple[str, str] | None = None
    secret: bool = False
    file: bool = True

    @property
    def initial(self) -> Value:
        """The parsed value when nothing sets the flag."""
        return _EMPTY[self.kind] if self.default is None else self.default

    def refusal(self, source: str) -> tuple[str, str] | None:
        """Why every value but the default is refused, set by `source`, and what to do; None if it is not."""
        if self.refused:
            reason, remedy = self.refused
            return f"{self.name} is not supported: {reason} (set by {source})", remedy
        if not self.supported:
            message = f"{self.name} is not supported yet (set by {source})"
            return message, f"remove {self.name}; this release does without it"
        return None

    @property
    def shown_default(self) -> str:
        """The default as help and documentation show it; empty if there is none to show."""
        if self.default_text or not self.default:
            return self.default_text
        if isinstance(self.default, float):
            return f"{int(self.default // 60)}m" if self.default % 60 == 0 else f"{self.default:g}s"
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


boolean = partial(Flag, kind=FlagKind.BOOL)
integer = partial(Flag, kind=FlagKind.INT)
duration = partial(Flag, kind=FlagKind.DURATION)
text = partial(Flag, kind=FlagKind.STRING)
many = partial(Flag, kind=FlagKind.LIST)


def group(title: str, *flags: Flag) -> tuple[Flag, ...]:
    """Put `flags` under one heading of ``--help``."""
    return tuple(replace(flag, group=title) for flag in flags)
