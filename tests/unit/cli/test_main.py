from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from rke2.cli import VERBS, main, token
from rke2.errors import JoinError
from rke2.version import VERSION


def test_version_has_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"rke2 version {VERSION} (")
    assert second == "python version " + ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_run(verb: str) -> None:
    assert callable(import_module(VERBS[verb][0]).run)


def test_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serer"]) == 1
    assert capsys.readouterr().err == (
        "rke2: error: 'serer' is not a command of rke2\n       hint: did you mean server?\n"
    )


def test_an_error_is_a_message_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--config=", "--cluster-cidr=10.43.0.0/16"]) == 1
    err = capsys.readouterr().err
    assert err == (
        "rke2: error: cluster-cidr 10.43.0.0/16 and service-cidr 10.43.0.0/16 overlap\n"
        "       hint: choose networks that share no address\n"
    )


def test_configuration_errors_come_before_the_question_for_root(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["server", "--config=", "--node-ip=x"]) == 1
    assert "node-ip: invalid value 'x'" in capsys.readouterr().err
    assert main(["server", "--config=", "--node-ip=192.0.2.1"]) == 1
    assert "rke2 server must run as root" in capsys.readouterr().err


def test_nothing_is_written_for_a_configuration_that_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert main(["server", "--config=", f"--data-dir={data}", "--cni=flannel"]) == 1
    assert not data.exists()


def modules_after(*argv: str) -> set[str]:
    """What the program loads, beside what an interpreter has loaded already."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "import atexit; atexit.register(lambda: print(*set(sys.modules) - before, file=sys.stderr))\n"
        f"from rke2.cli import main; main({list(argv)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env=BARE
    )
    return set(done.stderr.split())


BARE = {"PYTHONPATH": os.pathsep.join(sys.path)}
"""Packages are found as here, and nothing of what makes them be found is loaded."""
OWN = {"rke2", "rke2.cli", "rke2.errors", "rke2.releases", "rke2.version"}
HEAVY = {
    "argparse",
    "asyncio",
    "dataclasses",
    "enum",
    "importlib.metadata",
    "logging",
    "pathlib",
    "re",
    "typing",
}


@pytest.mark.parametrize("argv", ["--help", "--version"])
def test_help_loads_next_to_nothing(argv: str) -> None:
    loaded = modules_after(argv)
    assert {name for name in loaded if name.partition(".")[0] == "rke2"} <= OWN
    assert not loaded & HEAVY


def test_help_of_a_command_needs_no_library_and_no_event_loop() -> None:
    assert not modules_after("server", "--help") & {"asyncio", "yaml", "aiohttp", "cryptography", "argparse"}


def test_a_closed_pipe_is_no_traceback() -> None:
    assert find_spec("rke2.__main__")
    done = subprocess.run(
        f"{sys.executable} -m rke2 server --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "NAME:\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("nested", [False, True])
def test_no_group_of_errors_reaches_a_user(
    nested: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(error: BaseException) -> tuple[int, str]:
        group = BaseExceptionGroup("tasks", [error, ValueError("a consequence")])

        def run(argv: object) -> int:
            raise BaseExceptionGroup("nest", [group]) if nested else group

        monkeypatch.setattr(token, "run", run)
        return main(["token"]), capsys.readouterr().err

    assert told(JoinError("no server", "start one")) == (
        1,
        "rke2: error: no server\n       hint: start one\n",
    )
    assert told(KeyboardInterrupt()) == (130, "")
    assert told(FileNotFoundError(2, "No such file", "/x")) == (1, "rke2: error: /x: No such file\n")
    code, text = told(KeyError("x"))
    assert code == 1 and "Group" not in text
    assert text.endswith("unexpected KeyError: 'x'\n       hint: report this fault of rke2, with its log\n")


@pytest.mark.parametrize("verb", ["etcd-snapshot", "secrets-encrypt", "token", "certificate", "status"])
def test_a_verb_loads_its_client_when_it_asks(verb: str) -> None:
    loaded = modules_after(verb, "--help")
    assert "rke2.cli" in loaded and not loaded & {"aiohttp", "grpc", "xml.etree.ElementTree"}
