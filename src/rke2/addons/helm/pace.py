"""How soon a chart whose job ended without the wanted release is run again, and how many are upgraded at once."""

from __future__ import annotations

import time

from rke2.kube.backoff import Backoff
from rke2.kube.objects import Key


class RerunPace:
    """The first repetition is immediate, the next ones wait 1, 2, 4 … 60 seconds from job to job.

    Upstream repeats without pause, so a chart that fails for good under ``failurePolicy: retry`` makes a new job
    every few seconds forever.
    """

    def __init__(self) -> None:
        self._charts: dict[Key, tuple[str, Backoff, float]] = {}

    def remaining(self, key: Key, config_hash: str) -> float:
        """Seconds until the chart may run again with this configuration."""
        known, _, earliest = self._charts.get(key, ("", None, 0.0))
        return max(0.0, earliest - time.monotonic()) if known == config_hash else 0.0

    def started(self, key: Key, config_hash: str) -> None:
        """Note that a job was made again for a configuration that a job had completed before."""
        known, backoff, _ = self._charts.get(key, ("", Backoff(1.0, 60.0), 0.0))
        if known != config_hash:
            backoff = Backoff(1.0, 60.0)
        self._charts[key] = (config_hash, backoff, time.monotonic() + backoff.next())

    def forget(self, key: Key) -> None:
        self._charts.pop(key, None)


class UpgradePace:
    """Charts that are installed already are upgraded two at a time.

    After an upgrade of rke2 all of them may have changed. A job has requests, and a higher priority than most pods:
    seven at once on a small node would have the scheduler evict pods to make room for them. Upstream begins them all.
    One that has failed, or that takes long, holds up nobody.
    """

    AT_ONCE = 2
    LONGEST = 60.0
    """Seconds."""

    def __init__(self) -> None:
        self._since: dict[Key, float] = {}

    def begin(self, key: Key) -> bool:
        """Whether the chart may be upgraded now; it counts as being upgraded then."""
        now = time.monotonic()
        others = [since for each, since in self._since.items() if each != key and now - since < self.LONGEST]
        if len(others) >= self.AT_ONCE:
            return False
        self._since[key] = now
        return True

    def ended(self, key: Key) -> None:
        """Note that the chart's job has ended or failed, or that there is no chart any more."""
        self._since.pop(key, None)
