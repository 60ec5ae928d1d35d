"""The program itself on generated data of RKE2: output, exit code, and nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import prepared_server
from tests.rke2_server import RKE2Server
from tests.snapshots import snapshot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the data of RKE2 is root's")


@pytest.fixture
async def files(tmp_path: Path) -> RKE2Server:
    """A server that RKE2 ran on."""
    await prepared_server(tmp_path)
    return RKE2Server(tmp_path, config={"node-name": "node1", "node-ip": "192.0.2.1"}).make()


def migrate(files: RKE2Server, *more: str) -> subprocess.CompletedProcess[str]:
    config = files.root / "etc/rancher/rke2/config.yaml"
    where = ("--data-dir", str(files.data), "--config", str(config), "--program", str(files.root / "none"))
    command = (sys.executable, "-m", "rke2", "migrate", *where, *more)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("RKE2_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


def report(files: RKE2Server) -> tuple[int, dict[str, Any]]:
    done = migrate(files, "--check", "-o", "json")
    assert not done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_good_server(files: RKE2Server) -> None:
    before = snapshot(files.root)
    code, found = report(files)
    assert (code, found["exitCode"], found["severity"]) == (2, 2, "change")
    assert (found["role"], found["from"]) == ("server", "v1.36.4+rke2r1")
    kinds = {finding["kind"] for finding in found["findings"]}
    assert {"version", "static-pod", "cloud-controller"} <= kinds
    assert not [finding for finding in found["findings"] if finding["severity"] == "stop"]
    text = migrate(files, "--check")
    assert text.returncode == 2
    assert text.stdout.startswith("server of RKE2 v1.36.4+rke2r1 in ")
    assert "cloud-controller-manager ends" in text.stdout
    assert text.stdout.rstrip().endswith("read the lines marked change.")
    assert snapshot(files.root) == before


def test_without_what_changes_nothing_is_in_the_way(files: RKE2Server) -> None:
    files.manifest("cloud-controller-manager").unlink()
    done = migrate(files, "--check")
    assert (done.returncode, done.stdout.rstrip().splitlines()[-1]) == (0, "Nothing is in the way.")


def flag(files: RKE2Server) -> None:
    (files.root / "etc/rancher/rke2/config.yaml").write_text("datastore-endpoint: mysql://\n")


def no_data(files: RKE2Server) -> None:
    (files.tls / "server-ca.key").unlink()


def newer(files: RKE2Server) -> None:
    (files.data / "bin").unlink()
    (files.data / "bin").symlink_to(files.data / "data/v1.38.0-rke2r1-0123456789ab/bin")


@pytest.mark.parametrize(("spoil", "kind"), [(flag, "flag"), (no_data, "data"), (newer, "version")])
def test_what_stops(files: RKE2Server, spoil: Callable[[RKE2Server], None], kind: str) -> None:
    spoil(files)
    code, found = report(files)
    assert code == 3
    assert kind in [finding["kind"] for finding in found["findings"] if finding["severity"] == "stop"]
    assert all(finding["remedy"] for finding in found["findings"] if finding["severity"] == "stop")
    assert migrate(files, "--check").stdout.split("\n\n")[1].startswith("stop ")


def test_it_does_nothing_but_check(files: RKE2Server) -> None:
    done = migrate(files)
    assert done.returncode == 1
    assert "rke2 migrate --check" in done.stderr


def test_where_no_node_ever_ran_there_is_nothing_to_check(tmp_path: Path) -> None:
    done = migrate(RKE2Server(tmp_path), "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no node ever ran in" in done.stderr
    assert "--data-dir" in done.stderr


def test_a_directory_of_something_else_is_not_a_node(tmp_path: Path) -> None:
    files = RKE2Server(tmp_path)
    (files.data / "agent").mkdir(parents=True)
    code, found = report(files)
    assert code == 3
    assert "is not the data of an agent" in found["findings"][0]["message"]
