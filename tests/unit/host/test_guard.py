"""A process whose event loop stands still ends, and says where; one that was stopped for a while goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

PROGRAM = """
import asyncio, sys, time
from rke2.host.guard import Guard

async def main():
    with Guard(10, 0.05) as guard:
        for _ in range(30):
            guard.alive()
            print("alive", flush=True)
            await asyncio.sleep(0.05)
        if sys.argv[1:]:
            stand_still()
    time.sleep(1)

def stand_still():
    time.sleep(60)

asyncio.run(main())
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_loop_that_stands_still_ends_the_process() -> None:
    process = start("stand still")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("rke2 has stood still for 0 s and ends")
    assert "in stand_still" in errors


def test_a_process_that_was_stopped_goes_on() -> None:
    process = start()
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
