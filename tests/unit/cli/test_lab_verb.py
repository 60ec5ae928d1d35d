import json
from pathlib import Path

import pytest

from rke2.cli import lab
from rke2.errors import LabError, NotSupportedError, UsageError


def _planned(*argv: str) -> tuple[list[str], list[str]]:
    return lab._planned(lab._parser().parse_args(["up", *argv]))


@pytest.mark.parametrize(
    ("argv", "servers", "others"),
    [
        ((), ["server-0"], []),
        (("first",), ["first"], []),
        (("--hosts", "2"), [], ["host-0", "host-1"]),
        (("--servers", "1", "--hosts", "1"), ["server-0"], ["host-0"]),
        (("--no-start", "a", "b"), [], ["a", "b"]),
        (("--no-start", "--servers", "2", "--agents", "1"), [], ["server-0", "server-1", "agent-0"]),
    ],
)
def test_which_hosts_are_made(argv: tuple[str, ...], servers: list[str], others: list[str]) -> None:
    assert _planned(*argv) == (servers, others)


@pytest.mark.parametrize("argv", [("--servers", "2"), ("--agents", "1"), ("a", "b")])
def test_joining_is_refused_clearly(argv: tuple[str, ...]) -> None:
    with pytest.raises(NotSupportedError, match="joining"):
        lab.run(["up", *argv])


@pytest.mark.parametrize(
    "argv", [["up", "a", "--servers", "1"], ["sideways"], [], ["exec", "a"], ["up", "--n"]]
)
def test_bad_command_lines(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        lab.run(argv)


def test_status_of_no_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.run(["status", "--state-dir", str(tmp_path), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"lab": "lab", "hosts": []}


@pytest.mark.parametrize("argv", [["exec", "a", "--", "true"], ["shell", "a"], ["logs", "a"], ["down", "a"]])
def test_an_unknown_host_is_named(tmp_path: Path, argv: list[str]) -> None:
    verb, *rest = argv
    with pytest.raises(LabError, match="no host a"):
        lab.run([verb, "--state-dir", str(tmp_path), *rest])


@pytest.mark.parametrize(
    ("options", "message"), [([], "no content"), (["--content", "."], "no image archives")]
)
def test_no_host_is_made_that_could_not_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabError, match=message):
        lab.run(["up", "--state-dir", str(tmp_path / "labs"), *options])
    assert list(tmp_path.iterdir()) == []
