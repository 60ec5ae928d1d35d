"""Durations as Go writes them (``1h2m3.5s``): the form of metav1.Duration and of upstream's variables."""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 10**3),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:{_PART.pattern})+")


def parse_duration(text: str) -> Fraction:
    """Seconds of a Go duration; a bare ``0`` is allowed.

    Raises:
        ValueError: `text` is no Go duration.
    """
    if text in ("0", "+0", "-0"):
        return Fraction(0)
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 5m0s")
    total = sum((Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(text)), Fraction(0))
    return -total if text.startswith("-") else total


def format_duration(seconds: Fraction | float) -> str:
    """The text Go's Duration.String gives: ``10m`` becomes ``10m0s``."""
    nanoseconds = round(Fraction(seconds) * 10**9)
    sign, value = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if value < 10**9:
        return sign + _below_second(value)
    minutes, rest = divmod(value, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    prefix = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{prefix}{_decimal(rest, 9)}s"


def _below_second(value: int) -> str:
    if value == 0:
        return "0s"
    for digits, unit in ((6, "ms"), (3, "µs")):
        if value >= 10**digits:
            return _decimal(value, digits) + unit
    return f"{value}ns"


def _decimal(value: int, digits: int) -> str:
    whole, fraction = divmod(value, 10**digits)
    tail = f"{fraction:0{digits}d}".rstrip("0")
    return f"{whole}.{tail}" if tail else str(whole)
