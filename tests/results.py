"""Writes down the last result of every file with long tests, in ``tests/results.json``.

A pytest plugin. What `make test` runs is seen by everyone who runs it; of what only `make test-all` runs, the file
tells when it last passed. It is written by the run alone, and only for a file whose long tests were all run: neither
chosen by name (``-k``, ``file::test``) nor cut short by ``-x``.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILE = TESTS / "results.json"

Row = dict[str, str | int]
"""``date`` (ISO 8601), ``result`` (``passed`` or ``failed``), and of each outcome how many; ``seconds``."""


@dataclass
class _Tally:
    """What became of the long tests of one file."""

    chosen: set[str] = field(default_factory=set)
    left_out: bool = False
    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether every long test of the file has an outcome."""
        return bool(self.chosen) and not self.left_out and self.chosen == set(self.outcomes)

    def count(self, outcome: str) -> int:
        return sum(each == outcome for each in self.outcomes.values())

    def row(self, date: str) -> Row:
        """The file's line."""
        counts = {each: self.count(each) for each in ("passed", "failed", "skipped")}
        told: Row = {
            "date": date,
            "result": "passed" if counts["passed"] and not counts["failed"] else "failed",
        }
        return (
            told
            | {name: number for name, number in counts.items() if number}
            | {"seconds": round(self.seconds)}
        )


class LongResults:
    """The plugin.

    Args:
        file: where the rows are.
        tests: the directory that files are named from.
        arguments: what pytest was told to run.
    """

    def __init__(self, file: Path, tests: Path, arguments: Sequence[str]) -> None:
        self._file = file
        self._tests = tests
        self._by_name = {Path(each.partition("::")[0]).resolve() for each in arguments if "::" in each}
        self._tallies: dict[str, _Tally] = defaultdict(_Tally)
        self._long: set[str] = set()

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """A file of which a long test is left out is not told of."""
        for item in filter(_is_long, items):
            self._tallies[self._name(item.path)].left_out = True

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What will be run."""
        for item in filter(_is_long, session.items):
            tally = self._tallies[self._name(item.path)]
            tally.chosen.add(item.nodeid)
            tally.left_out = tally.left_out or item.path.resolve() in self._by_name
            self._long.add(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has failed if one of its three steps has; it has an outcome when its last step is over."""
        if report.nodeid not in self._long:
            return
        tally = self._tallies[self._name(self._tests.parent / report.nodeid.partition("::")[0])]
        tally.seconds += report.duration
        before = tally.outcomes.get(report.nodeid, "passed")
        if before == "passed":
            tally.outcomes[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Rewrite the rows of the files that were run whole."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        rows = {name: tally.row(today) for name, tally in self._tallies.items() if tally.whole}
        if rows:
            add(self._file, rows)

    def _name(self, path: Path) -> str:
        return str(path.resolve().relative_to(self._tests.resolve()))


def read(file: Path = FILE) -> dict[str, Row]:
    """The rows, by the test file's path from ``tests/``."""
    rows: dict[str, Row] = json.loads(file.read_text()) if file.exists() else {}
    return rows


def add(file: Path, rows: Mapping[str, Row]) -> None:
    """Write `rows` in place of what there was of the same files; `make test-all` has two processes that do so."""
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        write(file, {**read(file), **rows})
    finally:
        os.close(directory)


def write(file: Path, rows: Mapping[str, Row]) -> None:
    """One line a file, sorted, so that two runs of different files merge."""
    lines = [f"  {json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows)]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _is_long(item: pytest.Item) -> bool:
    return item.get_closest_marker("long") is not None
