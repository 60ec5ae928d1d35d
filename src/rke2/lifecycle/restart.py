"""When a process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RestartBackoff:
    """Delays that double from `first` to `maximum` seconds and start over after a run of `forget_after` seconds."""

    first: float = 0.5
    maximum: float = 5.0
    forget_after: float = 60.0
    _next: float = 0.0

    def after(self, ran_for: float) -> float:
        """Seconds to wait before the next start of something that has just run for `ran_for` seconds."""
        if ran_for >= self.forget_after or not self._next:
            self._next = self.first
        delay, self._next = self._next, min(self._next * 2, self.maximum)
        return delay
