"""What is counted while it happens: durations in buckets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rke2.metrics.families import Family, Labels, Sample, labelled


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    """Upper bounds of `count` buckets, each `factor` times the one before."""
    return tuple(start * factor**power for power in range(count))


@dataclass
class Outcome:
    """What became of something that raises nothing when it fails."""

    failed: bool = False


class _Buckets:
    def __init__(self, size: int) -> None:
        self.counts, self.total, self.sum = [0] * size, 0, 0.0


class Histogram:
    """Observed values, counted below each upper bound.

    Args:
        bounds: upper bounds, growing; that of all values is added.
        known: labels that are there from the start, with zeros: what grows from nothing to one has no growth for
            Prometheus, and an alert on the first failure would never go off.
    """

    def __init__(self, name: str, help: str, bounds: tuple[float, ...], known: Iterable[Labels] = ()) -> None:
        self._name, self._help, self._bounds = name, help, bounds
        self._counted: dict[Labels, _Buckets] = {labels: _Buckets(len(bounds)) for labels in known}

    def observe(self, value: float, **labels: str) -> None:
        """Count `value`."""
        buckets = self._counted.setdefault(labelled(**labels), _Buckets(len(self._bounds)))
        buckets.total, buckets.sum = buckets.total + 1, buckets.sum + value
        for index, bound in enumerate(self._bounds):
            buckets.counts[index] += value <= bound

    @contextmanager
    def timed(self) -> Iterator[Outcome]:
        """Count how long the block takes, in seconds, by what became of it (label ``status``).

        A block that raises has failed; one that says so of what is yielded, too.
        """
        began, outcome, ended = time.monotonic(), Outcome(), False
        try:
            yield outcome
            ended = True
        finally:
            status = "success" if ended and not outcome.failed else "failure"
            self.observe(time.monotonic() - began, status=status)

    def family(self) -> Family:
        """As it is now."""
        samples = [
            sample for labels, counted in self._counted.items() for sample in self._of(labels, counted)
        ]
        return Family(self._name, "histogram", self._help, tuple(samples))

    def _of(self, labels: Labels, counted: _Buckets) -> Iterator[Sample]:
        bounds = [*map(str, self._bounds), "+Inf"]
        for bound, count in zip(bounds, [*counted.counts, counted.total], strict=True):
            yield Sample(count, (*labels, ("le", bound)), "_bucket")
        yield Sample(counted.sum, labels, "_sum")
        yield Sample(counted.total, labels, "_count")
