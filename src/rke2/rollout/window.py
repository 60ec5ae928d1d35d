"""When nodes may begin: days, a time to begin and one to end, in a time zone (upstream: kured's time windows)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FORMS = ("%H:%M", "%H:%M:%S", "%I:%M%p", "%H", "%I%p")


@dataclass(frozen=True)
class Window:
    """A part of some days.

    Args:
        days: as `datetime.weekday` counts them.
        start, end: both are part of the window, `end` with its whole second; if `end` is before `start` the window
            passes midnight.
    """

    days: frozenset[int]
    start: time
    end: time
    zone: tzinfo

    def contains(self, moment: datetime) -> bool:
        """Whether the window is open at `moment`, which knows its zone.

        The day is that of `moment`, also behind midnight, as upstream has it: Friday 22:00 to 2:00 is open on Friday
        before 2:00 and from 22:00 on, and not on Saturday.
        """
        local = moment.astimezone(self.zone)
        now = local.time().replace(microsecond=0)
        if local.weekday() not in self.days:
            return False
        if self.start <= self.end:
            return self.start <= now <= self.end
        return now >= self.start or now <= self.end


def parse_window(days: Sequence[str], start: str, end: str, zone: str) -> Window:
    """Read ``spec.window``.

    Args:
        days: names, their first letters or numbers from Sunday on; every day if empty.
        start, end: such as 22:00, 22:00:30, 22, 10:00pm or 10pm; the whole day if empty.
        zone: UTC if empty.

    Raises:
        ValueError: it cannot be read; says which part.
    """
    return Window(
        frozenset(map(_day, days)) or frozenset(range(7)),
        _time(start or "00:00"),
        _time(end or "23:59:59"),
        _zone(zone),
    )


def _day(text: str) -> int:
    if text in "0123456" and len(text) == 1:
        return (int(text) - 1) % 7
    for number, name in enumerate(_DAYS):
        if text.lower() in (name, name[:3], name[:2]):
            return number
    raise ValueError(f"{text!r} is not a valid day")


def _time(text: str) -> time:
    for form in _FORMS:
        try:
            return datetime.strptime(text, form).time()
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not a valid time, such as 22:00")


def _zone(name: str) -> tzinfo:
    if name.upper() in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"this host does not know the time zone {name!r}") from None
