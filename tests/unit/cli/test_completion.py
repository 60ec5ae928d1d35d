from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rke2.cli import main
from rke2.cli.completion import END, START, install, script


def complete(shell: str, *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    line = " ".join(f"'{word}'" for word in words)
    program = (
        f"{script(shell)}COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _rke2; echo ${{COMPREPLY[@]}}"
    )
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_verbs_and_flags() -> None:
    assert complete("bash", "rke2", "se") == ["server", "secrets-encrypt"]
    assert complete("bash", "rke2", "server", "--cluster-d") == ["--cluster-dns", "--cluster-domain"]
    assert complete("bash", "rke2", "agent", "--tls") == []
    assert "--alsologtostderr" not in complete("bash", "rke2", "server", "--")


def test_zsh_uses_the_same_function() -> None:
    assert script("zsh").endswith(script("bash"))


def test_installing_twice_leaves_one_block(tmp_path: Path) -> None:
    rc = tmp_path / ".bashrc"
    rc.write_text("alias k=kubectl\n")
    rc.chmod(0o600)
    install(tmp_path, "bash", ["export A=b"])
    install(tmp_path, "bash")
    assert rc.read_text() == f"alias k=kubectl\n\n{START}\n. <(rke2 completion bash)\n{END}\n"
    assert rc.stat().st_mode & 0o777 == 0o600


def test_exports_follow_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash", "--kubectl", "--ctr"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "export KUBECONFIG=/etc/rancher/rke2/rke2.yaml",
        "export CONTAINERD_ADDRESS=/run/k3s/containerd/containerd.sock",
        "export CONTAINERD_NAMESPACE=k8s.io",
    ]


@pytest.mark.parametrize("argv", [["fish"], ["bash", "--kubctl"]])
def test_what_completion_does_not_know(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", *argv]) == 1
    assert capsys.readouterr().err.startswith("rke2: error: ")
