from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2.errors import ComponentError
from rke2.lifecycle.logfile import LogFile
from rke2.lifecycle.process import Command, Process
from rke2.lifecycle.restart import RestartBackoff


def shell(script: str, log: Path, grace: float = 5) -> Command:
    return Command("test", ["/bin/sh", "-c", script], LogFile(log / "out.log"), grace=grace)


async def test_exit_status_and_output(tmp_path: Path) -> None:
    process = await Process.start(shell("echo hello; exit 3", tmp_path))
    assert await process.wait() == "exit status 3"
    assert process.command.log.tail() == "hello"


async def test_stop_asks_first_and_kills_after_the_grace_period(tmp_path: Path) -> None:
    process = await Process.start(
        shell("trap '' TERM; echo up; while :; do sleep 0.05; done", tmp_path, grace=0.3)
    )
    while "up" not in process.command.log.tail():
        await asyncio.sleep(0.02)
    await process.stop()
    assert await process.wait() == "signal SIGKILL"


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    process = await Process.start(Command("kubelet", ["/nowhere/kubelet"], LogFile(tmp_path / "k.log")))
    assert await process.wait() == "exit status 127"
    assert "/nowhere/kubelet" in process.command.log.tail()


async def test_an_unstartable_wrapper_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ComponentError, match="cannot start test"):
        await Process.start(shell("true", tmp_path))


def test_the_child_dies_with_a_killed_supervisor(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib
from rke2.lifecycle.logfile import LogFile
from rke2.lifecycle.process import Command, Process
async def main():
    process = await Process.start(Command("c", ["sleep", "60"], LogFile(pathlib.Path({str(tmp_path)!r}) / "c.log")))
    print(process.pid, flush=True)
    await process.wait()
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    _until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    _until(lambda: not _alive(child))
    assert not _alive(child)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" and os.getpgid(pid) > 0
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_back_off_doubles_up_to_the_maximum_and_forgets_after_a_long_run() -> None:
    backoff = RestartBackoff(first=1, maximum=3, forget_after=10)
    assert [backoff.after(0) for _ in range(4)] == [1, 2, 3, 3]
    assert backoff.after(10) == 1


def test_log_rotation_keeps_the_newest(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=10, keep=2)
    for text in (b"first-first", b"second-second", b"third-third"):
        log.path.write_bytes(text)
        assert log.rotate_if_large()
    assert log.path.read_bytes() == b""
    assert not log.rotate_if_large()
    import gzip

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["x.log", "x.log.1.gz", "x.log.2.gz"]
    assert gzip.decompress((tmp_path / "x.log.1.gz").read_bytes()) == b"third-third"


@pytest.mark.parametrize(
    ("limit", "inherited"), [("0:unlimited", "unlimited unlimited"), ("0:8192", "8 8"), ("0", "0 0")]
)
def test_programs_may_dump_core_where_only_rke2_may_not(tmp_path: Path, limit: str, inherited: str) -> None:
    """What containers get comes from containerd: the limit that the units set for rke2 itself must not reach it."""
    program = f"""
import asyncio, pathlib
from rke2.lifecycle.logfile import LogFile
from rke2.lifecycle.process import Command, Process
async def main():
    script = "sleep 0.3; echo $(ulimit -S -c) $(ulimit -H -c)"
    log = LogFile(pathlib.Path({str(tmp_path)!r}) / "c.log")
    process = await Process.start(Command("c", ["bash", "-c", script], log))
    await process.wait()
    print(log.tail())
asyncio.run(main())
"""
    command = ["prlimit", f"--core={limit}", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == inherited  # in KiB
