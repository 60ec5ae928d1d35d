"""The one program of the static pods acts by the name it is called by."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rke2.version import KUBERNETES_VERSION
from tests.binaries import binary

pytestmark = pytest.mark.content

SERVERS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_is_the_same_file_and_itself(name: str) -> None:
    assert binary(name).read_bytes() == binary("kubernetes").read_bytes()
    assert _run(binary(name), "--version").stdout == f"Kubernetes {KUBERNETES_VERSION}\n"
    assert f"\nUsage:\n  {name} [flags]\n" in _run(binary(name), "--help").stdout


def test_it_is_kubectl_too(tmp_path: Path) -> None:
    (tmp_path / "kubectl").symlink_to(binary("kubernetes"))
    assert f"Client Version: {KUBERNETES_VERSION}" in _run(tmp_path / "kubectl", "version", "--client").stdout


def test_another_name_is_refused_with_those_there_are() -> None:
    done = _run(binary("kubernetes"), "--version")
    assert done.returncode == 2
    assert done.stderr.endswith(": " + ", ".join(sorted([*SERVERS, "kubectl"])) + "\n")
