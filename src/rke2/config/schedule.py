"""When something is to happen again: the cron expressions that RKE2 understands (robfig/cron's standard parser).

Five fields, ``@daily`` and its like, ``@every <duration>``; in the time zone of the host, or in the one that
``CRON_TZ=`` (``TZ=``) in front names. The fields themselves are cronsim's to read; around a change of the clocks it
does what Debian's cron does. ``?`` stands for ``*``, as robfig has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from rke2.config.values import parse_duration

DESCRIPTORS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_ZONES = ("CRON_TZ=", "TZ=")
_DAYS = ("", "", r"1-31/\1", "", r"0-6/\1")
"""What a step over all days of a month, or of a week, is as a range; the other fields do not depend on each other."""
_FIELDS = len(_DAYS)
_STEP = re.compile(r"^[*?]/0*([2-9]|[1-9][0-9]+)$")
"""A step of one is any day for both of them."""


@dataclass(frozen=True)
class Schedule:
    """A parsed expression: five fields in a time zone, or a period.

    Args:
        fields: empty for a period.
        every: the period; whole seconds.
    """

    zone: tzinfo
    fields: str = ""
    every: timedelta = timedelta()

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment` (which knows its zone), in the schedule's zone."""
        local = moment.astimezone(self.zone)
        if not self.fields:
            return (local + self.every).replace(microsecond=0)
        return next(CronSim(self.fields, local))

    def before(self, moment: datetime) -> datetime | None:
        """The last time before `moment`; None for a period, which counts from the start of the process."""
        if not self.fields:
            return None
        return next(CronSim(self.fields, moment.astimezone(self.zone), reverse=True))


def parse_schedule(text: str, local: tzinfo | None = None) -> Schedule:
    """Read a cron expression.

    Args:
        local: the zone of an expression that names none; the host's if None.

    Raises:
        ValueError: it is no such expression, or names a time zone this host does not know; says which.
    """
    zone, expression = _zone(text.strip(), local)
    if expression.startswith(_EVERY):
        return Schedule(zone, every=_period(expression.removeprefix(_EVERY)))
    fields = DESCRIPTORS.get(expression, expression).split()
    if len(fields) != _FIELDS:
        raise ValueError(f"expected {_FIELDS} fields (minute hour day month weekday), found {len(fields)}")
    plain = " ".join(_plain(field, days) for field, days in zip(fields, _DAYS, strict=True))
    try:
        next(CronSim(plain, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(str(error)) from None
    except StopIteration:
        raise ValueError("it names a day that never comes") from None
    return Schedule(zone, plain)


def _plain(field: str, days: str) -> str:
    """`field` in cronsim's words, with robfig's meaning.

    Of a day of the month and a day of the week, both must fit where one of them is any day; else one is enough. For
    robfig ``*/2`` is a list of days, for cronsim, as for Debian's cron, it is still any day: ``0 0 */2 * 1`` is every
    other day and each Monday for RKE2, and a few Mondays for them.
    """
    items = ("*" if item == "?" else item for item in field.split(","))
    return ",".join(_STEP.sub(days, item) if days else item for item in items)


def _period(text: str) -> timedelta:
    seconds = int(parse_duration(text.strip()))
    if seconds < 1:
        raise ValueError("a period must be at least one second")
    return timedelta(seconds=seconds)


def _zone(text: str, local: tzinfo | None) -> tuple[tzinfo, str]:
    for prefix in _ZONES:
        if text.startswith(prefix):
            name, _, rest = text.removeprefix(prefix).partition(" ")
            return _named(name), rest.strip()
    return local or local_zone(), text


def _named(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"this host does not know the time zone {name!r}") from None


def local_zone(environ: Mapping[str, str] = os.environ, file: Path = Path("/etc/localtime")) -> tzinfo:
    """The time zone of the host: variable TZ, else /etc/localtime, else UTC."""
    try:
        if name := environ.get("TZ", "").lstrip(":"):
            return _named(name)
        with file.open("rb") as content:
            return ZoneInfo.from_file(content, _zone_name(file))
    except (ValueError, OSError):
        return UTC


def _zone_name(file: Path) -> str:
    """``Europe/Berlin``, if the file is the usual link; else the file's own name."""
    return str(file.resolve()).rpartition("/zoneinfo/")[2]
