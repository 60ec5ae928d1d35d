"""From the text of a flag to its value, by the rules of Go's parsers (upstream's files are written for them)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from rke2.config.flag import FlagKind, Value

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_bool(text: str) -> bool:
    """Read what Go's ``strconv.ParseBool`` reads.

    Raises:
        ValueError: anything else.
    """
    if text not in (*_TRUE, *_FALSE):
        raise ValueError("expected true or false")
    return text in _TRUE


def parse_int(text: str) -> int:
    """Read a decimal integer.

    Raises:
        ValueError: not a number.
    """
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError("expected an integer")
    return int(text)


def parse_duration(text: str) -> float:
    """Read a Go duration such as ``5m``, ``1h30m`` or ``1.5s``, in seconds.

    Raises:
        ValueError: no duration, or a number without a unit.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return 0.0
    parts = _DURATION_PART.findall(digits)
    if not parts or "".join(number + unit for number, unit in parts) != digits:
        raise ValueError("expected a duration with a unit, such as 30s, 5m or 1h30m")
    return float(sign * sum(float(number) * _UNITS[unit] for number, unit in parts))


_PARSERS: Mapping[FlagKind, Callable[[str], Value]] = {
    FlagKind.BOOL: parse_bool,
    FlagKind.INT: parse_int,
    FlagKind.DURATION: parse_duration,
    FlagKind.STRING: str,
}


def parse_scalar(kind: FlagKind, text: str) -> Value:
    """Read `text` as a value of `kind` (any but a list).

    Raises:
        ValueError: the text is not a valid value; its message says what was expected.
    """
    return _PARSERS[kind](text)


def split_commas(items: tuple[str, ...]) -> tuple[str, ...]:
    """Split every item on commas and drop blanks around and empty parts."""
    parts = (part.strip() for item in items for part in item.split(","))
    return tuple(part for part in parts if part)
