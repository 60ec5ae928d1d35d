"""What is known of the work on each file, and what follows from how it ended: when it is due, what is told.

::

    unseen or changed ───► due ───► done ───────────────────► (until it changes)
                            ▲  └──► failed ─── told if news
                            └── pause over ──┘      └─ BROKEN: only a change helps

All of it is decided here from the time and the outcome; nothing is asked of the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from rke2.addons.apply import ApplyError
from rke2.errors import KubeError
from rke2.kube.backoff import Backoff
from rke2.kube.persistence import is_refusal

RETRY_SECONDS = 15.0
"""Longest pause where another object may help: a CRD, a namespace, a quota."""
UNREACHABLE_SECONDS = 2.0
"""Longest pause while the API does not answer at all: it may be back any moment."""
REFUSED_SECONDS = 300.0
"""Longest pause where the object itself is refused: it takes another file, or a changed webhook or CRD."""

_NEVER = float("inf")

Key = tuple[Path, str]
"""A file and, where it is gone, the Addon that it had."""


class Failure(Enum):
    """Kinds of failure, with the longest pause before the next attempt in seconds."""

    OUTAGE = auto()
    PASSING = auto()
    REFUSED = auto()
    BROKEN = auto()

    @property
    def pause(self) -> float:
        return {
            Failure.OUTAGE: UNREACHABLE_SECONDS,
            Failure.PASSING: RETRY_SECONDS,
            Failure.REFUSED: REFUSED_SECONDS,
            Failure.BROKEN: _NEVER,
        }[self]


def kind_of(error: KubeError) -> Failure:
    """What an error means for the file that met it."""
    errors = error.errors if isinstance(error, ApplyError) else (error,)
    if any(each.status == 0 for each in errors):
        return Failure.OUTAGE
    return Failure.REFUSED if all(map(is_refusal, errors)) else Failure.PASSING


@dataclass
class _State:
    mtime_ns: int
    due: float | None = None
    told: str = ""
    applied: bool = False
    backoff: Backoff = field(default_factory=lambda: Backoff(0.25, REFUSED_SECONDS))


class Attempts:
    """The state of every file."""

    def __init__(self) -> None:
        self._states: dict[Key, _State] = {}

    def is_due(self, key: Key, mtime_ns: int, now: float) -> bool:
        """Whether the file changed, or failed and waited long enough. Mtime 0 (reproducible archives) is no mark."""
        state = self._states.get(key)
        if state is None or state.mtime_ns != mtime_ns:
            return True
        return mtime_ns == 0 if state.due is None else state.due <= now

    def begin(self, key: Key, mtime_ns: int) -> None:
        """Note that the file is worked on as it is now."""
        state = self._states.get(key)
        if state is None or state.mtime_ns != mtime_ns:
            self._states[key] = _State(mtime_ns, applied=state.applied if state else False)
        self._states[key].due = None

    def applied(self, key: Key) -> bool:
        """Whether this process has applied the file, in this or another version."""
        return key in self._states and self._states[key].applied

    def done(self, key: Key, *, applied: bool) -> None:
        """Note success."""
        self._states[key] = _State(self._states[key].mtime_ns, applied=applied or self._states[key].applied)

    def failed(self, key: Key, failure: Failure, words: str, now: float) -> bool:
        """Note a failure.

        Returns:
            Whether `words` are news: an outage is no matter of one file, and the rest is told once.
        """
        state = self._states[key]
        state.due = now + min(failure.pause, state.backoff.next())
        if failure is Failure.BROKEN:
            state.due = _NEVER
        news = failure is not Failure.OUTAGE and words != state.told
        if news:
            state.told = words
        return news

    def again(self, path: Path) -> None:
        """Have a file applied once more although it has not changed."""
        if state := self._states.get((path, "")):
            state.due, state.applied = 0.0, False

    def forget(self, present: set[Key]) -> list[Path]:
        """Forget the files that are not `present`.

        Returns:
            Those of them that there is nothing more to say about.
        """
        absent = self._states.keys() - present
        for key in absent:
            del self._states[key]
        return [path for path, _ in absent if not any(path == other for other, _ in self._states)]

    @property
    def due(self) -> float:
        """When, on the monotonic clock, the next attempt is due."""
        return min((state.due for state in self._states.values() if state.due is not None), default=_NEVER)
