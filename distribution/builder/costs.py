"""What artifacts took when they were really built, not found in the store.

The record of ``artifacts/<name>-<key>/`` is ``artifacts/<name>-<key>.cost.json``: beside the artifact, never in it, for
the same inputs give the same bytes but not the same times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

_SUFFIX = ".cost.json"


@dataclass(frozen=True)
class Effort:
    """What the compilers of one component did.

    Attributes:
        cpu_seconds: user and system time of all processes.
        packages: Go packages compiled; the others came out of Go's build cache. None where nothing counts them.
    """

    cpu_seconds: float
    packages: int | None = None


class Cost(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one artifact took.

    Attributes:
        seconds: from beginning to end, whatever else ran on the machine.
        cpu_seconds: as in `Effort`. None for what the builder makes itself: its threads work on several at once.
        packages: as in `Effort`. With none an artifact was only linked again.
    """

    seconds: float
    cpu_seconds: float | None = None
    packages: int | None = None


def record(artifact: Path, cost: Cost) -> None:
    """Keep the cost of the artifact in the directory `artifact`."""
    _path(artifact).write_bytes(msgspec.json.encode(cost) + b"\n")


def recorded(artifact: Path) -> Cost | None:
    """The cost of the artifact in the directory `artifact`, None if nothing was kept."""
    try:
        return msgspec.json.decode(_path(artifact).read_bytes(), type=Cost)
    except FileNotFoundError:
        return None


def table(costs: Iterable[tuple[str, Cost | None]]) -> Iterator[str]:
    """Lines for people: a heading, then one for each name and its cost."""
    yield f"{'artifact':<30}{'seconds':>9}{'CPU s':>9}{'Go packages compiled':>22}"
    for name, cost in costs:
        if cost is None:
            yield f"{name:<30}{'?':>9}{'?':>9}{'?':>22}"
        else:
            cpu = "–" if cost.cpu_seconds is None else f"{cost.cpu_seconds:.1f}"
            packages = "–" if cost.packages is None else str(cost.packages)
            yield f"{name:<30}{cost.seconds:>9.1f}{cpu:>9}{packages:>22}"


def _path(artifact: Path) -> Path:
    return artifact.with_name(artifact.name + _SUFFIX)
