"""How far this machine's clock is from a server's, by the `Date` of an answer.

Asked for only when a certificate was refused for its time; so the server cannot be trusted yet, and its answer serves
for a message alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from rke2.host.clocks import duration

AGREE = timedelta(minutes=1)
"""Clocks that differ by less are not the reason."""

_SECONDS = 5.0
_SET = "set it (chrony or systemd-timesyncd keep it right)"


async def behind(url: str) -> timedelta | None:
    """By how much this machine's clock is behind that of the server at `url`; negative if it is ahead.

    Returns:
        None if the server does not say.
    """
    where = urlsplit(url)
    ping = f"{where.scheme}://{where.netloc}/ping"
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            # Not verified: that its certificate was refused is why it is asked.
            session.get(ping, ssl=False, allow_redirects=False) as answer,
        ):
            return difference(answer.headers.get("Date", ""), datetime.now(UTC))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        # Never an error of its own: whoever asks is about to tell of another one.
        return None


def difference(date: str, now: datetime) -> timedelta | None:
    """The time from `now` to an HTTP date; None if `date` is something else."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (there if there.tzinfo else there.replace(tzinfo=UTC)) - now


def told(late: timedelta | None) -> str:
    """The difference in words that stay the same for a minute; empty if nobody knows it."""
    if late is None:
        return ""
    if abs(late) < AGREE:
        return "this machine's clock and the server's agree: restart rke2 on the server, which renews its certificates"
    whole = timedelta(minutes=round(late / timedelta(minutes=1)))
    how = "behind" if late > timedelta() else "ahead of"
    return f"this machine's clock is {duration(whole)} {how} the server's: {_SET}"
