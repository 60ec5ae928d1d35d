import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rke2_lab.process import ProcessId


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_knows_itself() -> None:
    assert ProcessId.of(os.getpid()).alive


def test_killed_and_waited_for(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessId.of(sleeper.pid)
    assert identity.kill(timeout=5)
    assert not identity.alive  # a zombie does not count
    assert sleeper.wait() == -9
    assert identity.kill(timeout=5)


@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another"}])
def test_a_reused_pid_is_left_alone(sleeper: subprocess.Popen[bytes], change: dict[str, object]) -> None:
    stranger = replace(ProcessId.of(sleeper.pid), **change)  # type: ignore[arg-type]
    assert not stranger.alive
    assert stranger.kill(timeout=5)
    assert sleeper.poll() is None


def test_no_such_process(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(ProcessLookupError):
        ProcessId.of(sleeper.pid)
