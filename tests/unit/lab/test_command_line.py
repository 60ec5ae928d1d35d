import json
import subprocess
import sys
from pathlib import Path

import pytest

from rke2.errors import LabError, UsageError
from rke2_lab import command_line as lab
from rke2_lab import up
from rke2_lab.node import Role


def _planned(*argv: str) -> dict[str, Role | None]:
    return up._planned(lab._parser().parse_args(["up", *argv]))


@pytest.mark.parametrize(
    ("argv", "plan"),
    [
        ((), {"server-0": "server"}),
        (("first",), {"first": "server"}),
        (("--hosts", "2"), {"host-0": None, "host-1": None}),
        (("--servers", "1", "--hosts", "1"), {"server-0": "server", "host-0": None}),
        (
            ("--servers", "2", "--agents", "1"),
            {"server-0": "server", "server-1": "server", "agent-0": "agent"},
        ),
        (("a", "b", "--agents", "1"), {"a": "server", "b": "server", "agent-0": "agent"}),
        (("--servers", "0", "--agents", "1"), {"agent-0": "agent"}),
        (("--no-start", "a", "b"), {"a": None, "b": None}),
        (("--no-start", "--servers", "1", "--agents", "1"), {"server-0": None, "agent-0": None}),
    ],
)
def test_which_hosts_are_made(argv: tuple[str, ...], plan: dict[str, Role | None]) -> None:
    planned = _planned(*argv)
    assert list(planned.items()) == list(plan.items()), (
        "servers first, so that the first of them starts the cluster"
    )


@pytest.mark.parametrize(
    "argv", [["up", "a", "--servers", "1"], ["sideways"], [], ["exec", "a"], ["up", "--n"]]
)
def test_bad_command_lines(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        lab.run(argv)


@pytest.mark.parametrize(
    ("text", "cni"),
    [
        (None, "canal"),
        ("", "canal"),
        ("cni: none\n", "none"),
        ("cni: [multus, none]\n", "multus,none"),
        ("cni: multus, none\n", "multus, none"),
        ("cni: []\n", "canal"),
        ("cni: [\n", "canal"),
        ("- 1\n", "canal"),
    ],
)
def test_the_cni_of_the_users_configuration(tmp_path: Path, text: str | None, cni: str) -> None:
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text)
    assert up._configured_cni(file if text is not None else None) == cni


def test_status_of_no_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.run(["status", "--state-dir", str(tmp_path), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"lab": "lab", "hosts": []}


@pytest.mark.parametrize("argv", [["exec", "a", "--", "true"], ["shell", "a"], ["logs", "a"], ["down", "a"]])
def test_an_unknown_host_is_named(tmp_path: Path, argv: list[str]) -> None:
    verb, *rest = argv
    with pytest.raises(LabError, match="no host a"):
        lab.run([verb, "--state-dir", str(tmp_path), *rest])


def test_agents_without_a_server_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need a server"):
        lab.run(["up", "--state-dir", str(tmp_path), "--servers", "0", "--agents", "1"])
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (["--cni", "cilium"], "cilium"),
        (["--cni", "multus,canal"], "multus"),
        (["--ingress", "traefik"], "traefik"),
    ],
)
def test_what_is_chosen_needs_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], missing: str
) -> None:
    monkeypatch.chdir(tmp_path)
    content = tmp_path / "dist"
    content.mkdir()
    (content / "rke2-images-core.linux-amd64.tar.zst").touch()
    with pytest.raises(LabError, match=f"no images of {missing}") as refused:
        lab.run(["up", "--state-dir", str(tmp_path / "labs"), "--content", "dist", *options])
    assert "content-all" in refused.value.remedy
    assert not (tmp_path / "labs").exists()


def test_hosts_are_removed_with_the_standard_library_alone(tmp_path: Path) -> None:
    """By `make clean`, which runs the machine's own Python after the virtual environment may be gone."""
    source = Path(lab.__file__).parents[1]
    arguments = ["lab", "down", "--all", "--state-dir", str(tmp_path)]
    code = f"import sys; sys.path.insert(0, {str(source)!r}); from rke2.cli import main; sys.exit(main({arguments!r}))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
