"""What a component said before it ended, found in the end of its log."""

from __future__ import annotations

import re
from collections.abc import Iterable

LINES = 100
"""So many of a log's last lines are looked at: a panic prints its stacks after the reason."""

_LONGEST = 400
_TELLING = re.compile(r'Error: |panic: |fatal error: |[EF]\d{4} |\{"level":"(?:fatal|panic|error)"')
_HEADER = re.compile(r"[IWEF]\d{4} \S+ +\d+ \S+\] ")
"""Of a line of klog: severity, date, time, thread, place."""


def last_words(lines: Iterable[str]) -> str:
    """The last line that tells of an error, or else the last one; empty if there is none.

    Args:
        lines: of the log, the oldest first; klog's, zap's or plain ones.
    """
    said = [line.strip() for line in lines if line.strip()][-LINES:]
    telling = [line for line in said if _TELLING.match(line)]
    line = (telling or said or [""])[-1]
    return _HEADER.sub("", line, count=1)[:_LONGEST]
