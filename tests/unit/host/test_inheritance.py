"""Each thing that can be inherited, inherited by a real process, which tells what its own child then has."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rke2.host import inheritance
from rke2.host.facts import detect

PROGRAM = """
import json, os, subprocess, sys
from rke2.host import inheritance
inheritance.open_standard_streams()
found = inheritance.put_right()
child = "import json, os, signal, resource, sys; print(json.dumps(dict(" \\
    "umask=os.umask(0), nice=os.getpriority(os.PRIO_PROCESS, 0), cwd=os.getcwd(), environ=dict(os.environ)," \\
    "policy=os.sched_getscheduler(0), oom=int(open('/proc/self/oom_score_adj').read())," \\
    "status=open('/proc/self/status').read(), encoding=open(os.devnull).encoding," \\
    "limits={name: resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in " \\
    "('NOFILE', 'FSIZE', 'CPU', 'NPROC', 'AS')})))"
done = subprocess.run([sys.executable, "-c", child], stdin=subprocess.DEVNULL, capture_output=True, text=True)
report = {"found": found, "own_encoding": open(os.devnull).encoding, "child": json.loads(done.stdout)}
with open(sys.argv[1], "w") as out:
    json.dump(report, out)
"""


def inherit(
    tmp_path: Path, before: Callable[[], object] = lambda: None, **options: Any
) -> tuple[list[str], dict[str, Any]]:
    """What a process finds that `before` has spoiled, and what its child has."""
    out = tmp_path / "report.json"

    def begin() -> None:
        if os.geteuid() == 0:  # else nobody can, and the tests' own start must be as usual
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        before()

    subprocess.run([sys.executable, "-c", PROGRAM, str(out)], preexec_fn=begin, check=True, **options)
    report = json.loads(out.read_text())
    return report["found"], report["child"]


def signals(child: dict[str, Any], field: str) -> set[int]:
    line = next(line for line in child["status"].splitlines() if line.startswith(field))
    mask = int(line.split()[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_what_is_usual_is_not_mentioned(tmp_path: Path) -> None:
    found, _ = inherit(tmp_path, env={"PATH": "/usr/sbin:/usr/bin", "LANG": "de_DE.UTF-8"})
    assert found == []


def test_umask(tmp_path: Path) -> None:
    found, child = inherit(tmp_path, lambda: os.umask(0o077))
    assert found[0] == "umask: was 077, is 022"
    assert child["umask"] == 0o022


def test_blocked_signals(tmp_path: Path) -> None:
    found, child = inherit(
        tmp_path, lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    )
    assert "signals: SIGTERM, SIGCHLD blocked" in found
    assert signals(child, "SigBlk") == set()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD])
def test_ignored_signals(tmp_path: Path, number: signal.Signals) -> None:
    found, child = inherit(tmp_path, lambda: signal.signal(number, signal.SIG_IGN))
    assert f"signals: {number.name} ignored" in found
    assert not signals(child, "SigIgn") & {number}


def test_who_says_nohup_is_not_ended_by_it() -> None:
    program = (
        "import os, signal\nfrom rke2.host import inheritance\ninheritance.put_right()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\nprint('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "alive\n"


@pytest.mark.root
def test_limits(tmp_path: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    found, child = inherit(tmp_path, few)
    (limits,) = [line for line in found if line.startswith("limits: ")]
    assert "NOFILE was 64" in limits
    if detect().can_lower_oom_score:
        assert child["limits"]["NOFILE"] == [1 << 20, 1 << 20]
        assert child["limits"]["FSIZE"] == child["limits"]["CPU"] == [resource.RLIM_INFINITY] * 2
    else:  # a container without CAP_SYS_RESOURCE, which raising a hard limit takes as well
        assert "NOFILE was 64, cannot be more than 512" in limits
        assert child["limits"]["NOFILE"] == [512, 512]


def test_a_soft_limit_is_raised_by_anyone(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    _, child = inherit(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
    assert child["limits"]["NOFILE"][0] >= min(hard, 1 << 20)


def test_a_limit_that_is_higher_stays(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 2 << 20:
        pytest.skip(f"this process may not open more than {before[1]} files")
    more = (2 << 20, before[1])
    _, child = inherit(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, more))
    assert child["limits"]["NOFILE"][0] == 2 << 20


@pytest.mark.root
def test_nice_and_scheduling(tmp_path: Path) -> None:
    def low() -> None:
        os.nice(15)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    found, child = inherit(tmp_path, low)
    assert "priority: nice 15, SCHED_BATCH" in found
    assert (child["nice"], child["policy"]) == (0, os.SCHED_OTHER)


@pytest.mark.root
def test_a_higher_priority_is_meant(tmp_path: Path) -> None:
    found, child = inherit(tmp_path, lambda: os.nice(-3))
    assert not any("priority" in line for line in found)
    assert child["nice"] == -3


@pytest.mark.root
def test_out_of_memory_score(tmp_path: Path) -> None:
    found, child = inherit(tmp_path, lambda: Path("/proc/self/oom_score_adj").write_text("900"))
    assert "out-of-memory score: oom_score_adj was 900" in found
    assert child["oom"] == 0


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    def stand_there() -> None:
        os.chdir(gone)
        gone.rmdir()

    found, child = inherit(tmp_path, stand_there)
    assert "working directory: was removed, is /" in found
    assert child["cwd"] == "/"


def test_a_working_directory_that_is_there_stays(tmp_path: Path) -> None:
    assert inherit(tmp_path, cwd=tmp_path)[1]["cwd"] == str(tmp_path)


def test_language(tmp_path: Path) -> None:
    spoiled = {
        "LANG": "de_DE.ISO-8859-1",
        "LC_MESSAGES": "ja_JP",
        "LANGUAGE": "fr",
        "PATH": os.environ["PATH"],
    }
    found, child = inherit(tmp_path, env=spoiled)
    assert "language: LANG was de_DE.ISO-8859-1, LC_MESSAGES was ja_JP" in found
    assert child["environ"]["LC_ALL"] == "C.UTF-8"
    assert not {"LANG", "LANGUAGE", "LC_MESSAGES"} & child["environ"].keys()
    assert child["encoding"].lower() == "utf-8"


@pytest.mark.parametrize("directory", ["/nowhere/at/all", "relative", "/dev/null", ""])
def test_a_directory_for_temporary_files_that_is_none(tmp_path: Path, directory: str) -> None:
    found, child = inherit(tmp_path, env={**os.environ, "TMPDIR": directory})
    assert f"TMPDIR: {directory} is not a directory that can be written, /tmp is used" in found
    assert "TMPDIR" not in child["environ"]


def test_a_good_one_stays(tmp_path: Path) -> None:
    assert inherit(tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)})[1]["environ"]["TMPDIR"] == str(
        tmp_path
    )


@pytest.mark.parametrize(("given", "first"), [("", "/usr/local/sbin"), ("/opt/bin:relative:", "/opt/bin")])
def test_path(tmp_path: Path, given: str, first: str) -> None:
    found, child = inherit(tmp_path, env={"PATH": given})
    assert any(line.startswith("PATH: was ") for line in found)
    directories = child["environ"]["PATH"].split(":")
    assert directories[0] == first
    assert {"/usr/sbin", "/sbin", "/usr/bin", "/bin"} <= set(directories)
    assert "relative" not in directories
    assert "" not in directories, "an empty one is the working directory"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """What is opened next must not be what people's words are written to."""
    program = (
        "import os, sys\nfrom rke2.host import inheritance\ninheritance.open_standard_streams()\n"
        "file = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)\nassert file > 2, file\n"
        "print('words', flush=True)\nprint('words', file=sys.stderr, flush=True)\n"
        "sys.stdin.read()\nos.system('echo words; echo words >&2')\n"
    )
    file = tmp_path / "data"

    def close() -> None:
        for number in closed:
            os.close(number)

    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        preexec_fn=close,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == b""


def test_what_cannot_be_changed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> str:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(inheritance, "TABLE", {"priority": refused})
    assert inheritance.put_right() == ["priority: cannot be changed: Operation not permitted"]
