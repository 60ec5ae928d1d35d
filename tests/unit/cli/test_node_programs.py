"""``rke2 kubectl|crictl|ctr``: rke2 becomes the program of the node, with what it needs to find the node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rke2.cli import kubectl
from rke2.config.paths import Paths
from rke2.errors import HostError
from tests.unit.cli.test_status import nobody as nobody

TOLD = ("KUBECONFIG", "CRI_CONFIG_FILE", "CONTAINERD_ADDRESS", "CONTAINERD_NAMESPACE")
PROGRAM = f"""#!/bin/sh
case $1 in
    exit) exit "$2" ;;
    wait) echo waiting; exec sleep 60 ;;
    flood) while echo y; do :; done; exit 0 ;;
esac
for argument; do echo "<$argument>"; done
env | grep -E '^({"|".join(TOLD)})=' | sort
"""
PROGRAMS = ("kubectl", "crictl", "ctr")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with programs that tell what they were given."""
    binaries = tmp_path / "data/key/bin"
    binaries.mkdir(parents=True)
    for name in PROGRAMS:
        (binaries / name).write_text(PROGRAM)
        (binaries / name).chmod(0o755)
    (tmp_path / "bin").symlink_to(binaries)
    return tmp_path


def command(data: Path, *argv: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if name not in TOLD}
    return [sys.executable, "-m", "rke2", *argv], kept | {"RKE2_DATA_DIR": str(data), **variables}


def rke2(data: Path, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words, env = command(data, *argv, **variables)
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("crictl", ["CRI_CONFIG_FILE={data}/agent/etc/crictl.yaml"]),
        (
            "ctr",
            ["CONTAINERD_ADDRESS=/run/k3s/containerd/containerd.sock", "CONTAINERD_NAMESPACE=k8s.io"],
        ),
    ],
)
def test_the_program_finds_the_node(data: Path, name: str, lines: list[str]) -> None:
    assert rke2(data, name).stdout.splitlines() == [line.format(data=data) for line in lines]


def test_what_the_caller_has_set_stays(data: Path) -> None:
    lines = rke2(data, "ctr", CONTAINERD_NAMESPACE="moby").stdout.splitlines()
    assert "CONTAINERD_NAMESPACE=moby" in lines
    assert "KUBECONFIG=/mine" in rke2(data, "kubectl", KUBECONFIG="/mine").stdout.splitlines()


@pytest.mark.parametrize("name", PROGRAMS)
def test_arguments_are_passed_on_as_they_are(data: Path, name: str) -> None:
    words = ["--help", "-h", "--version", "", "a b", "--", "-o", "json", "--data-dir=/x"]
    out = rke2(data, name, *words, KUBECONFIG="/mine").stdout.splitlines()
    assert out[: len(words)] == [f"<{word}>" for word in words]


def test_the_exit_code_is_that_of_the_program(data: Path) -> None:
    assert rke2(data, "crictl", "exit", "37").returncode == 37


def test_signals_reach_the_program(data: Path) -> None:
    words, env = command(data, "ctr", "wait")
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout and running.stdout.readline() == "waiting\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == -signal.SIGTERM


def test_a_program_whose_reader_has_gone_ends(data: Path) -> None:
    """Python ignores SIGPIPE, and hands that on."""
    words, env = command(data, "ctr", "flood")
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout and running.stdout.readline() == b"y\n"
        running.stdout.close()
        assert running.wait(10) == -signal.SIGPIPE


@pytest.mark.parametrize("name", PROGRAMS)
def test_before_the_node_has_unpacked_them(tmp_path: Path, name: str) -> None:
    done = rke2(tmp_path, name, "version")
    assert done.returncode == 1
    assert done.stderr == (
        f"rke2: error: {tmp_path}/bin/{name} is not there: the programs of a node come with its runtime image\n"
        "       hint: start rke2 once, it unpacks them; with another data directory set RKE2_DATA_DIR\n"
    )


def test_the_data_directory_is_that_of_the_configuration(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    # A key that only servers have, then one that only agents have.
    for other in ("tls-san: [a.example]", "lb-server-port: 7444"):
        config.write_text(f"data-dir: {data}\n{other}\n")
        words, env = command(data, "crictl", RKE2_CONFIG_FILE=str(config))
        del env["RKE2_DATA_DIR"]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
        assert f"CRI_CONFIG_FILE={data}/agent/etc/crictl.yaml" in done.stdout, done.stderr


# --- whom kubectl speaks for -----------------------------------------------------------------------
@pytest.fixture
def paths(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """An agent's: it has kubectl and no kubeconfig of a person."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "etc").mkdir()
    return Paths(data_dir=data, config_dir=tmp_path / "etc")


def test_kubectl_of_a_server_is_administrator(paths: Paths) -> None:
    paths.admin_kubeconfig.write_text("")
    assert kubectl.variables(paths, ["get", "pods"]) == {"KUBECONFIG": str(paths.admin_kubeconfig)}


def test_kubectl_of_an_agent_says_what_is_missing(paths: Paths) -> None:
    with pytest.raises(HostError) as raised:
        kubectl.variables(paths, ["-n", "kube-system", "get", "pods"])
    assert raised.value.message.startswith("there is no kubeconfig for kubectl: ")
    assert str(paths.kubelet_kubeconfig) in raised.value.remedy
    with pytest.raises(HostError):
        kubectl.variables(paths, ["exec", "pod", "--", "program", "--help", "--server=x"])


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["help"],
        ["completion", "bash"],
        ["get", "--help"],
        ["version", "--client"],
        ["config", "view"],
        ["--kubeconfig=/mine", "get", "pods"],
        ["get", "pods", "--kubeconfig", "/mine"],
        ["-s", "https://other:6443", "get", "pods"],
    ],
)
def test_kubectl_of_an_agent_goes_on_where_it_needs_none(paths: Paths, argv: list[str]) -> None:
    assert kubectl.variables(paths, argv) == {}


def test_kubectl_takes_the_users_own_kubeconfig(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path.home() / ".kube/config"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert kubectl.variables(paths, ["get", "pods"]) == {}
    own.unlink()
    monkeypatch.setenv("KUBECONFIG", "/mine")
    assert kubectl.variables(paths, ["get", "pods"]) == {}


@pytest.mark.root
def test_an_ordinary_user_may_not_be_administrator(paths: Paths, request: pytest.FixtureRequest) -> None:
    paths.admin_kubeconfig.write_text("")
    paths.admin_kubeconfig.chmod(0o600)
    request.getfixturevalue("nobody")
    with pytest.raises(HostError, match="permission denied") as raised:
        kubectl.variables(paths, ["get", "pods"])
    assert "write-kubeconfig-mode" in raised.value.remedy
