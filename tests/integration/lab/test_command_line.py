"""``rke2 lab`` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from rke2_lab.program import SOURCE
from tests.integration.lab.traces import traces

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def rke2_lab(lab: Lab) -> Run:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "RKE2_LAB_DIR": str(lab.state_dir)}

    def run(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rke2", "lab", verb, "--lab", lab.name, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=60
        )

    return run


def test_up_exec_status_down(lab: Lab, rke2_lab: Run) -> None:
    before = traces(lab)
    assert rke2_lab("up", "--no-start", "--hosts", "2").returncode == 0
    assert rke2_lab("exec", "host-1", "--", "hostname").stdout == "host-1\n"
    assert rke2_lab("exec", "host-1", "--", "sh", "-c", "exit 7").returncode == 7
    status = json.loads(rke2_lab("status", "-o", "json").stdout)
    assert [(host["name"], host["running"], host["rke2"]) for host in status["hosts"]] == [
        ("host-0", True, None),
        ("host-1", True, None),
    ]
    assert rke2_lab("down", "host-0").returncode == 0
    assert rke2_lab("exec", "host-0", "--", "true").returncode == 1
    assert rke2_lab("down").returncode == 0
    assert traces(lab) == before


def test_down_all_removes_every_lab_of_the_state_directory(lab: Lab, rke2_lab: Run) -> None:
    other = Lab(lab.state_dir, f"{lab.name}b")
    for one in (lab, other):
        one.add_host("a")
    assert rke2_lab("down", "--all").returncode == 0
    assert not lab.state_dir.exists()
    assert not traces(other).netns


def test_a_server_that_ends_is_reported_with_its_last_words(lab: Lab, rke2_lab: Run, tmp_path: Path) -> None:
    content, config = tmp_path / "content", tmp_path / "config.yaml"
    content.mkdir()
    (content / "runtime.tar").write_text("not an archive")
    config.write_text("no-such-key: 1\n")
    done = rke2_lab("up", "--content", str(content), "--config", str(config))
    assert done.returncode == 1
    assert "rke2 ended with 1 on server-0" in done.stderr
    assert "no-such-key" in done.stderr
    assert "no-such-key" in rke2_lab("logs", "server-0").stdout
