"""The checker of histories (tests/cluster/backup/history.py) accepts what may be, and finds each thing that may not."""

from __future__ import annotations

import pytest

from tests.cluster.backup.history import History, Write

INFINITY = float("inf")


def history(*unanswered: int) -> History:
    """Writes 0 to 9, one a second; the snapshot from 3.5 to 4.5, the restore from 7.5 to 8.5."""
    writes = [
        Write(number, number + 0.1, INFINITY if number in unanswered else number + 0.4)
        for number in range(10)
    ]
    return History(writes, (3.5, 4.5), (7.5, 8.5))


def there(*numbers: int) -> dict[int, str]:
    return {number: f"{number} {number}" for number in numbers}


@pytest.mark.parametrize(
    "found",
    [
        there(0, 1, 2, 3, 9),
        there(0, 1, 2, 3, 4, 9),  # taken while 4 was written
        there(0, 1, 2, 3, 8, 9),  # 8 was acknowledged while the restore went on
    ],
)
def test_what_may_be(found: dict[int, str]) -> None:
    assert history().wrong(found) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (there(0, 1, 3, 9), "write 2 was acknowledged and is missing"),
        (there(0, 1, 2, 9), "write 3 was acknowledged and is missing"),
        (there(0, 1, 2, 3, 5, 9), "write 5 came after the snapshot and is there"),
        (there(0, 1, 2, 3, 5, 9), "write 4 is missing before write 5"),
        (there(0, 1, 2, 3), "write 9 was acknowledged and is missing"),
        ({**there(0, 1, 2, 9), 3: "3"}, "write 3 is half there"),
    ],
)
def test_what_may_not_be(found: dict[int, str], words: str) -> None:
    assert any(words in each for each in history().wrong(found))


def test_a_write_without_an_answer_may_be_there_or_not() -> None:
    assert history(2).wrong(there(0, 1, 3, 9)) == []
    assert history(2).wrong(there(0, 1, 2, 3, 9)) == []
