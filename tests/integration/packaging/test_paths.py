"""The data directory, written in every way: the scripts end and remove what belongs to it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2_lab.host import LabHost
from rke2_lab.lab import Lab

pytestmark = pytest.mark.root

SCRIPTS = Path(__file__).parents[3] / "packaging"
DATA = "/disk/rke2"
PREPARE = f"""
set -e
mkdir -p {DATA}/agent/pod-manifests {DATA}/data/v1/bin /var/lib/rancher /usr/local/bin /opt/docker/bin
ln -sfn {DATA} /var/lib/rancher/rke2
touch {DATA}/agent/pod-manifests/etcd.yaml
cp /bin/sleep {DATA}/data/v1/bin/containerd-shim-runc-v2
cp /bin/sleep /opt/docker/bin/containerd-shim-runc-v2
"""
SHIM = "/var/lib/rancher/rke2/data/v1/bin/containerd-shim-runc-v2"
SPELLINGS = [
    "",
    "/var/lib/rancher/rke2",
    "/var/lib/rancher/rke2/",
    "//var//lib/rancher/rke2//",
    "/var/lib/./rancher/../rancher/rke2",
    DATA,
]


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        lab = Lab(Path(directory) / "labs", f"k{os.getpid()}")
        try:
            yield lab.add_host("server-0")
        finally:
            lab.down()


@pytest.fixture
def prepared(host: LabHost) -> LabHost:
    host.exec(["sh", "-c", PREPARE], check=True)
    for script in ("rke2-killall.sh", "rke2-uninstall.sh"):
        write = f"cat > /usr/local/bin/{script} && chmod 755 /usr/local/bin/{script}"
        host.exec(["sh", "-c", write], input=(SCRIPTS / script).read_text(), check=True)
    return host


def run(host: LabHost, script: str, data_dir: str) -> subprocess.CompletedProcess[str]:
    environment = {"RKE2_DATA_DIR": data_dir} if data_dir else {}
    return host.exec(["sh", f"/usr/local/bin/{script}"], env=environment, timeout=120)


def ended(process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    return process.poll() is not None


@pytest.fixture
def started(prepared: LabHost) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        processes.append(prepared.popen(list(command)))
        return processes[-1]

    yield start
    for each in processes:
        each.kill()
        each.wait()


@pytest.mark.parametrize("data_dir", SPELLINGS)
def test_killall_ends_the_shims_and_nothing_else(
    prepared: LabHost, started: Callable[..., subprocess.Popen[bytes]], data_dir: str
) -> None:
    shim, foreign = started(SHIM, "600"), started("/opt/docker/bin/containerd-shim-runc-v2", "600")
    time.sleep(0.5)
    done = run(prepared, "rke2-killall.sh", data_dir)
    assert (done.returncode, done.stderr) == (0, "")
    assert ended(shim) and foreign.poll() is None
    assert not prepared.path(f"{DATA}/agent/pod-manifests/etcd.yaml").exists()


def test_killall_ends_shims_of_a_program_that_was_replaced(
    prepared: LabHost, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    shim = started(SHIM, "600")
    time.sleep(0.5)
    prepared.exec(["rm", f"{DATA}/data/v1/bin/containerd-shim-runc-v2"], check=True)
    assert run(prepared, "rke2-killall.sh", "").returncode == 0
    assert ended(shim)


def test_killall_says_that_there_is_no_such_data_directory(prepared: LabHost) -> None:
    assert (
        "there is no data directory /nowhere/rke2" in run(prepared, "rke2-killall.sh", "/nowhere/rke2").stderr
    )


@pytest.mark.parametrize("script", ["rke2-killall.sh", "rke2-uninstall.sh"])
def test_the_root_is_no_data_directory(
    prepared: LabHost, started: Callable[..., subprocess.Popen[bytes]], script: str
) -> None:
    foreign = started("/opt/docker/bin/containerd-shim-runc-v2", "600")
    for data_dir in ("/", "/var/..", "/var/lib/../../.."):
        done = run(prepared, script, data_dir)
        assert done.returncode == 1 and "cannot be a data directory" in done.stderr
    assert foreign.poll() is None


def test_uninstall_removes_no_directory_of_others(prepared: LabHost) -> None:
    done = run(prepared, "rke2-uninstall.sh", "/var/lib/rancher/../../lib")
    assert done.returncode == 1 and "is not a data directory of rke2" in done.stderr
    assert prepared.path("/var/lib/rancher").is_dir()


def test_uninstall_removes_the_data_and_the_link_to_it(prepared: LabHost) -> None:
    """Last: it removes the scripts, too."""
    done = run(prepared, "rke2-uninstall.sh", "/var/lib/rancher/rke2/")
    assert (done.returncode, done.stderr) == (0, "")
    assert not os.path.lexists(prepared.path("/var/lib/rancher/rke2"))
    assert not prepared.path(DATA).exists() and prepared.path("/disk").is_dir()
