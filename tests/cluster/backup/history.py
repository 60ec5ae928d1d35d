"""A history of acknowledged writes, and whether a cluster that went back to a snapshot is a prefix of it.

One writer, one write after the other, so the order of acknowledgements is that of the writes. Each write is an object
with its number twice, so that half of one would show. A write without an answer may be there or not.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

PREFIX = "written-"


@dataclass(frozen=True)
class Write:
    """A write: when it began, and when it was acknowledged (infinity: it was not)."""

    number: int
    began: float
    acknowledged: float


@dataclass
class History:
    """What was written, in order; and when the snapshot and the restore began and ended."""

    writes: list[Write] = field(default_factory=list)
    snapshot: tuple[float, float] = (0.0, 0.0)
    restore: tuple[float, float] = (float("inf"), float("inf"))

    def wrong(self, found: Mapping[int, str]) -> list[str]:
        """What is wrong with a cluster that has `found`: number of each write that is there -> its content."""
        return [*self._halves(found), *self._against_time(found), *self._gaps(found)]

    def _halves(self, found: Mapping[int, str]) -> Iterable[str]:
        for number, content in found.items():
            if content != f"{number} {number}":
                yield f"write {number} is half there: {content!r}"

    def _against_time(self, found: Mapping[int, str]) -> Iterable[str]:
        for write in self.writes:
            if write.number not in found and self._must(write):
                yield f"write {write.number} was acknowledged and is missing"
            if write.number in found and self._must_not(write):
                yield f"write {write.number} came after the snapshot and is there"

    def _must(self, write: Write) -> bool:
        before = write.acknowledged < self.snapshot[0]
        return before or (write.began > self.restore[1] and write.acknowledged < float("inf"))

    def _must_not(self, write: Write) -> bool:
        return write.began > self.snapshot[1] and write.acknowledged < self.restore[0]

    def _gaps(self, found: Mapping[int, str]) -> Iterable[str]:
        """What the snapshot holds is a prefix: nothing acknowledged is missing before something that is there."""
        old = [write for write in self.writes if write.acknowledged < self.restore[0]]
        last = max((write.number for write in old if write.number in found), default=-1)
        for write in old:
            if write.number < last and write.number not in found:
                yield f"write {write.number} is missing before write {last}, which is there"


class Writer:
    """Writes in a thread until it is stopped.

    Args:
        create: makes an object with name and content; whether that was acknowledged.
    """

    def __init__(self, create: Callable[[str, str], bool], history: History) -> None:
        self._create, self._history = create, history
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="writer")

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            began = time.time()
            done = self._create(f"{PREFIX}{number}", f"{number} {number}")
            self._history.writes.append(Write(number, began, time.time() if done else float("inf")))

    def until(self, count: int, seconds: float = 120.0) -> None:
        """Wait for as many further writes to be acknowledged."""
        wanted, end = self._acknowledged() + count, time.monotonic() + seconds
        while self._acknowledged() < wanted:
            assert time.monotonic() < end, f"{count} further writes were not acknowledged in {seconds:.0f} s"
            time.sleep(0.2)

    def _acknowledged(self) -> int:
        return sum(write.acknowledged < float("inf") for write in self._history.writes)


def read(text: str) -> dict[int, str]:
    """The writes in a list of ConfigMaps as kubectl prints it (``-o json``)."""
    items = json.loads(text)["items"]
    named = {each["metadata"]["name"]: (each.get("data") or {}).get("n", "") for each in items}
    return {int(name.removeprefix(PREFIX)): data for name, data in named.items() if name.startswith(PREFIX)}
