"""A process in a host behaves like a child of the caller."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rke2.errors import LabError
from rke2_lab.host import LabHost
from rke2_lab.process import ProcessId

Pair = tuple[LabHost, LabHost]


@pytest.fixture
def host(pair: Pair) -> LabHost:
    return pair[0]


def _started(host: LabHost, script: str) -> subprocess.Popen[str]:
    """A shell script that has said "ready"."""
    process = host.popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def _eventually(condition: object, timeout: float = 5.0) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_code(host: LabHost, code: int) -> None:
    assert host.exec(["sh", "-c", f"exit {code}"]).returncode == code


def test_output_and_input(host: LabHost) -> None:
    done = host.exec(["sh", "-c", "cat; echo problem >&2"], input="text")
    assert (done.stdout, done.stderr) == ("text", "problem\n")


def test_a_checked_command_tells_its_output(host: LabHost) -> None:
    with pytest.raises(LabError, match=r"a: .*failed with 3: broken"):
        host.exec(["sh", "-c", "echo broken >&2; exit 3"], check=True)


def test_a_command_that_does_not_exist(host: LabHost) -> None:
    done = host.exec(["no-such-program"])
    assert (done.returncode, done.stderr) == (127, "rke2 lab: no-such-program: No such file or directory\n")


def test_death_by_signal_is_seen(host: LabHost) -> None:
    assert host.exec(["sh", "-c", "kill -SEGV $$"]).returncode == -signal.SIGSEGV
    assert host.exec(["sh", "-c", "kill -KILL $$"]).returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_process(host: LabHost, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    with _started(
        host, f"trap 'echo got {name}; exit 5' {name}; echo ready; while :; do sleep 0.05; done"
    ) as process:
        process.send_signal(number)
        assert process.wait(5) == 5
        assert process.stdout
        assert process.stdout.read() == f"got {name}\n"


def test_an_unhandled_signal_ends_it_by_that_signal(host: LabHost) -> None:
    with _started(host, "echo ready; exec sleep 60") as process:
        process.terminate()
        assert process.wait(5) == -signal.SIGTERM


def test_sigkill_ends_the_process_inside(host: LabHost) -> None:
    with _started(host, "echo ready; exec sleep 4711") as process:
        process.kill()
        assert process.wait(5) == -signal.SIGKILL
    assert _eventually(lambda: host.exec(["pgrep", "-f", "sleep 4711"]).returncode == 1)


def test_a_timeout_kills(host: LabHost) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        host.exec(["sleep", "4712"], timeout=0.5)
    assert _eventually(lambda: host.exec(["pgrep", "-f", "sleep 4712"]).returncode == 1)


def test_signals_are_not_blocked_or_ignored_inside(host: LabHost) -> None:
    status = host.exec(["cat", "/proc/self/status"]).stdout
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn")))
    # Signals 32 and 33 are the C library's own: programs can neither block nor reset them.
    assert {int(mask, 16) & ~(0b11 << 31) for mask in masks.values()} == {0}


def test_a_terminal_interrupts_once(host: LabHost) -> None:
    script = (
        "trap 'n=$((n+1)); echo count $n' INT; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        command = host.command(["bash", "-c", script])
        os.execve(command[0], command, host.environment())
    assert _read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    assert _read_until(terminal, b"count 1")
    time.sleep(0.3)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"count 2" not in _read_all(terminal)
    os.close(terminal)


def _read_until(terminal: int, text: bytes) -> bool:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)
    return True


def _read_all(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_orphans_are_reaped(host: LabHost) -> None:
    host.exec(["sh", "-c", "for i in 1 2 3; do (sleep 0.1 & ) ; done"], check=True)
    children_of_init = ["ps", "--ppid", "1", "-o", "args="]
    assert _eventually(lambda: host.exec(children_of_init).stdout == "")


def test_a_detached_process_outlives_the_command(host: LabHost) -> None:
    host.exec(["sh", "-c", "setsid sleep 4713 >/dev/null 2>&1 &"], check=True)
    assert host.exec(["pkill", "-f", "sleep 4713"]).returncode == 0


def test_pid_1_is_small_and_survives_signals_from_inside(host: LabHost) -> None:
    init = host.record.init
    assert isinstance(init, ProcessId)
    host.exec(["kill", "-TERM", "1"])
    host.exec(["kill", "-INT", "1"])
    host.exec(["kill", "-KILL", "1"])
    assert init.alive
    resident = next(
        line for line in Path(f"/proc/{init.pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    assert int(resident.split()[1]) < 20_000
