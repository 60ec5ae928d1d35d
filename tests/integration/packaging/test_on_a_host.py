"""The installed program on a host: it boots, ``rke2-killall.sh`` ends everything, ``rke2-uninstall.sh`` removes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.follow import until_ready
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode

pytestmark = [pytest.mark.content, pytest.mark.root]

BOOT_SECONDS = 240.0
RKE2 = "/usr/local/bin/rke2"
USERS_RULE = "-A INPUT -p tcp -m tcp --dport 9 -j DROP"
PLACES = ("/run/k3s/", "/var/lib/kubelet/pods/", "/run/netns/cni-")


@pytest.fixture
def host(staged: Path) -> Iterator[LabHost]:
    """A host with rke2 installed on it."""
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        lab = Lab(Path(directory) / "labs", f"p{os.getpid()}")
        try:
            host = lab.add_host("server-0")
            _copy(staged, host)
            yield host
        finally:
            lab.down()


def _copy(staged: Path, host: LabHost) -> None:
    """What an administrator does with a package: unpack it at /. Archives are linked, they are large."""
    node = LabNode(host)
    node.configure()
    node.place_content(staged / "var/lib/rancher/rke2/agent/images")
    packed = subprocess.Popen(["tar", "-C", staged, "-c", "etc", "usr"], stdout=subprocess.PIPE)
    unpacked = host.popen(["tar", "-C", "/", "-x"], stdin=packed.stdout)
    assert (unpacked.wait(60), packed.wait(60)) == (0, 0)


def test_boot_end_and_remove(host: LabHost) -> None:
    _check_units(host)
    server = _boot(host)
    _sh(host, f"iptables {USERS_RULE}")
    bystander = host.popen(["sleep", "600"])
    assert _leftovers(host).keys() == {"processes", "mounts", "interfaces", "rules", "manifests"}

    _sh(host, "rke2-killall.sh")
    assert _leftovers(host) == {}
    assert server.wait(10) == 0, "rke2 ended in an orderly way"
    assert host.path("/var/lib/rancher/rke2/server/db/etcd/member").is_dir(), "data stays"
    assert USERS_RULE in _sh(host, "iptables-save")
    assert bystander.poll() is None, "a process of somebody else's was killed"

    _sh(host, "rke2-uninstall.sh")
    assert _remains(host) == []
    assert bystander.poll() is None


def _check_units(host: LabHost) -> None:
    """systemd itself reads the units, where they are installed and what they start is there."""
    if not shutil.which("systemd-analyze"):
        return
    for unit in ("rke2-server", "rke2-agent"):
        done = host.exec(["systemd-analyze", "verify", f"/usr/local/lib/systemd/system/{unit}.service"])
        assert (done.returncode, done.stderr) == (0, "")


def _boot(host: LabHost) -> subprocess.Popen[bytes]:
    node = LabNode(host)
    with node.log.open("ab") as log:
        server = host.popen([RKE2, "server"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    until_ready(node, server, BOOT_SECONDS)
    return server


def _sh(host: LabHost, script: str) -> str:
    done = host.exec(["sh", "-c", script], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _leftovers(host: LabHost) -> dict[str, list[str]]:
    """What of a node is there, by kind; kinds of which nothing is there are left out."""
    mounts = [line.split()[1] for line in _sh(host, "cat /proc/self/mounts").splitlines()]
    found = {
        "processes": _lines(
            host, "ps -e -o args= | grep -E '(containerd|kubelet|kube-|etcd|pause)( |$)' | grep -v grep"
        ),
        "mounts": [point for point in mounts if point.startswith(PLACES)],
        "interfaces": _lines(host, "ip -o link", "flannel", "cali", "cni0"),
        "rules": _lines(host, "iptables-save; ip6tables-save", "KUBE-", "CNI-", "cali"),
        "manifests": [path.name for path in host.path("/var/lib/rancher/rke2/agent/pod-manifests").iterdir()],
    }
    return {kind: lines for kind, lines in found.items() if lines}


def _lines(host: LabHost, script: str, *words: str) -> list[str]:
    """Lines of the output, those with one of `words` if any is given."""
    lines = host.exec(["sh", "-c", script]).stdout.splitlines()
    return [line for line in lines if not words or any(word in line for word in words)]


def _remains(host: LabHost) -> list[str]:
    """Files of rke2 that are there; directories that are mount points of the host itself stay empty."""
    script = """
        ls -d /usr/local/bin/rke2* /usr/local/lib/rke2 /usr/local/share/rke2 /usr/local/lib/systemd/system/rke2*
        find /etc/rancher /etc/cni /opt/cni/bin /var/lib/cni /var/lib/kubelet /var/lib/rancher \
            /var/log/pods /var/log/containers /var/log/calico -mindepth 1
    """
    return _lines(host, script)
