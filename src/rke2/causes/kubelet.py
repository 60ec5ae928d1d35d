"""What the kubelet's log says of pods that do not start and of a Node that does not register.

The kubelet reports to the API server. While there is none, or on an agent, whose credentials may not read events, its
log is the only place that has the CRI's error.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence

from rke2.causes.wording import gist
from rke2.lifecycle.logfile import LogFile

LINES = 1500
"""So many of the last lines are looked at: without an API server most of them are of other things."""

FRESH_SECONDS = 150.0
"""A line this old is over: the kubelet repeats what still holds at least every two minutes (volumes)."""

_QUOTED = r'"(?P<error>(?:[^"\\]|\\.)*)"'
"""An error as klog writes it, with escapes."""

_TIME = re.compile(r"[EWI](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)")

_STAGES = {
    "CreatePodSandboxError": "no sandbox: ",
    "ConfigPodSandboxError": "no sandbox: ",
    "KillPodSandboxError": "its old sandbox cannot be removed: ",
    # The error names the image.
    "ErrImagePull": "",
    "ImagePullBackOff": "",
    "ErrImageNeverPull": "",
}
"""What is said before an error, by the name that the kubelet gives it; ``container: `` of all others."""

_IN_ITS_LOG = "CrashLoopBackOff"
"""How the container ended is in its own log: `rke2.causes.ended`."""

_FAILED = re.compile(r'failed to "\w+" for "[^"]*" with (\w+): ' + r'"((?:[^"\\]|\\.)*)"')


def _of_pod(error: str) -> str:
    """Of an error about a pod, mostly one named stage with the CRI's error in quotes."""
    failed = _FAILED.search(error)
    if failed is None:
        return gist(error)
    stage, quoted = failed.groups()
    return "" if stage == _IN_ITS_LOG else _STAGES.get(stage, "container: ") + gist(_unquoted(quoted))


_ROWS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (
        re.compile(rf'"Error syncing pod, skipping" err={_QUOTED} pod="kube-system/(?P<name>[^"]+)"'),
        lambda error: _of_pod(_unquoted(error)),
    ),
    # The kubelet says of a pod only after two minutes, and then that it waited for volumes; of the volume, at once why.
    (
        re.compile(
            r'(?P<error>\w+\.\w+ failed for volume "[^"]+" \(UniqueName: .*?\) pod "(?P<name>[^"]+)" .*)$'
        ),
        gist,
    ),
    (
        re.compile(rf'"Unable to register node with API server[^"]*" err={_QUOTED} node="(?P<name>[^"]+)"'),
        lambda error: f"the kubelet cannot register it: {gist(_unquoted(error))}",
    ),
)
"""Kinds of lines: what they are about (``name``), the error in them, and what is said of it."""


def _unquoted(text: str) -> str:
    """The content of a Go string literal; as it stands if it has escapes of Go alone."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text.replace('\\"', '"')


def said_of(names: Sequence[str], log: LogFile, since: float, *, now: float | None = None) -> dict[str, str]:
    """The newest cause that the log has of each pod or node that has one.

    Args:
        names: of pods of kube-system, or of the node.
        log: the kubelet's.
        since: Unix time; what was said before does not count.
    """
    at = time.time() if now is None else now
    found: dict[str, str] = {}
    for line in reversed(log.tail(LINES).splitlines()):
        moment = _moment(line, at)
        if moment is None:
            continue
        if moment < max(since, at - FRESH_SECONDS):
            break
        for name, words in _read(line):
            if name in names and words:
                found.setdefault(name, words)
    return found


def _read(line: str) -> Iterator[tuple[str, str]]:
    for pattern, read in _ROWS:
        if found := pattern.search(line):
            yield found["name"], read(found["error"])


def _moment(line: str, now: float) -> float | None:
    """When the line was written, in local time and without a year, as klog does."""
    found = _TIME.match(line)
    if not found:
        return None
    month, day, hour, minute, second = map(int, found.groups())
    year = time.localtime(now).tm_year
    moment = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    # A line of the 31st of December, read on the 1st of January.
    return (
        moment
        if moment <= now + 86400
        else time.mktime((year - 1, month, day, hour, minute, second, 0, 0, -1))
    )
