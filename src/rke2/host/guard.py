"""Ends the process when its event loop stands still: then nothing in it can notice anything any more.

A thread of its own counts. It counts its own turns and not the time: a process that was stopped, or a machine that was
asleep, has missed as many turns as its event loop, and nothing happens to it.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading

TURNS = 120
TURN_SECONDS = 1.0


class Guard:
    """Counts from the last sign of life.

    Args:
        turns: so many without a sign of life end the process, with exit code 1.
        seconds: of one turn.
    """

    def __init__(self, turns: int = TURNS, seconds: float = TURN_SECONDS) -> None:
        self._turns, self._seconds = turns, seconds
        self._counted = 0
        self._over = threading.Event()

    def alive(self) -> None:
        """A sign of life."""
        self._counted = 0

    def __enter__(self) -> Guard:
        """Count from now on, to the end of the block."""
        threading.Thread(target=self._count, name="guard", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _count(self) -> None:
        while self._counted < self._turns:
            if self._over.wait(self._seconds):
                return
            self._counted += 1
        # Not by the logging module: who stands still may hold its lock. Whoever started rke2 starts it again.
        text = f"rke2 has stood still for {self._turns * self._seconds:.0f} s and ends; where it stands:\n"
        os.write(sys.stderr.fileno(), text.encode())
        faulthandler.dump_traceback(all_threads=True)
        os._exit(1)
