"""The forms in which ``rke2 certificate check`` shows what it found; all are RKE2's (day2 reference §5.1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from rke2 import goyaml
from rke2.columns import aligned
from rke2.kube.duration import format_duration
from rke2.pki.catalog import RENEW_BEFORE
from rke2.pki.validity import CheckedCertificate, Validity

log = logging.getLogger(__name__)

_HEADER = ("FILENAME", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL TIME", "STATUS")
_GAP = 3

_DAY = 24 * 3600
_WEEK, _MONTH, _YEAR = 7 * _DAY, 30 * _DAY, 360 * _DAY
_SPANS = (
    (1, "now", 1),
    (2, "1 second ", 1),
    (60, "{} seconds ", 1),
    (120, "1 minute ", 1),
    (3600, "{} minutes ", 60),
    (7200, "1 hour ", 1),
    (_DAY, "{} hours ", 3600),
    (2 * _DAY, "1 day ", 1),
    (_WEEK, "{} days ", _DAY),
    (2 * _WEEK, "1 week ", 1),
    (_MONTH, "{} weeks ", _WEEK),
    (2 * _MONTH, "1 month ", 1),
    (_YEAR, "{} months ", _MONTH),
    (18 * _MONTH, "1 year ", 1),
    (2 * _YEAR, "2 years ", 1),
    (37 * _YEAR, "{} years ", _YEAR),
)
"""Seconds below which a span is named so, and the seconds of the unit counted (go-humanize, whose month has 30 days and
whose year 12 of these). The blank stands before the word for past or future, which RKE2 leaves empty."""
_VERY_LONG = "a long while "


def span(length: timedelta) -> str:
    """How long `length` is, in words; its sign does not count."""
    seconds = abs(length).total_seconds()
    for limit, words, unit in _SPANS:
        if seconds < limit:
            return words.format(int(seconds // unit))
    return _VERY_LONG


def _rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def tell(found: Sequence[CheckedCertificate]) -> None:
    """The format ``text``: a line of the log each."""
    for each in found:
        named = f"{each.filename}: certificate {each.subject} ({','.join(each.usages)})"
        level, text = _TOLD[each.validity]
        log.log(level, "%s %s %s", named, text, _rfc3339(each.expires))


_TOLD = {
    Validity.OK: (logging.INFO, "is ok, expires at"),
    Validity.WARNING: (logging.WARNING, f"will expire within {RENEW_BEFORE.days} days at"),
    Validity.EXPIRED: (logging.ERROR, "expired at"),
    Validity.NOT_YET: (logging.ERROR, "is not valid before"),
}


def as_table(found: Sequence[CheckedCertificate]) -> str:
    """An empty line, then columns."""
    rows = [_HEADER, tuple("-" * len(title) for title in _HEADER), *map(_row, found)]
    return "\n" + "".join(f"{line}\n" for line in aligned(rows, gap=_GAP))


def _row(each: CheckedCertificate) -> tuple[str, ...]:
    ends = f"{each.expires:%b %d, %Y %H:%M} UTC"
    return each.filename, each.subject, ",".join(each.usages), ends, span(each.residual), each.validity.value


def as_json(found: Sequence[CheckedCertificate]) -> str:
    """One line."""
    certificates = [
        {
            "Filename": each.filename,
            "Subject": each.subject,
            "Issuer": each.issuer,
            "Usages": list(each.usages),
            "ExpiryTime": _rfc3339(each.expires),
            "ResidualTime": _nanoseconds(each.residual),
            "Status": each.validity.value,
        }
        for each in found
    ]
    # Go's encoder writes "null" for a list to which nothing was added.
    text = json.dumps({"Certificates": certificates or None}, separators=(",", ":"), ensure_ascii=False)
    return f"{text.translate(_ESCAPED)}\n"


_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""As Go's encoder writes them."""


def _nanoseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1000


def as_yaml(found: Sequence[CheckedCertificate]) -> str:
    """Keys in lower case, the rest of the time as a duration."""
    if not found:
        return "certificates: []\n"
    return "certificates:\n" + "".join(map(_yaml_entry, found))


def _yaml_entry(each: CheckedCertificate) -> str:
    before = {
        "filename": each.filename,
        "subject": each.subject,
        "issuer": each.issuer,
        "usages": list(each.usages),
    }
    after = {
        "residualtime": format_duration(Fraction(_nanoseconds(each.residual), 10**9)),
        "status": each.validity.value,
    }
    # A moment is bare where a string that looks like one would be quoted.
    lines = [
        *goyaml.dump(before, sort_keys=False).splitlines(),
        f"expirytime: {_rfc3339(each.expires)}",
        *goyaml.dump(after, sort_keys=False).splitlines(),
    ]
    return f"- {lines[0]}\n" + "".join(f"  {line}\n" for line in lines[1:])


OUTPUTS: dict[str, Callable[[Sequence[CheckedCertificate]], str]] = {
    "table": as_table,
    "json": as_json,
    "yaml": as_yaml,
}
TEXT = "text"
