"""The scripts on hosts that have busybox alone, or the least of a Debian: no Python, no ipset."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.host import ipsets
from rke2_lab import roots, toolbox
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.content]

REPOSITORY = Path(__file__).parents[3]
CONTENT = REPOSITORY / "build/dist"
PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
PREPARE = f"""
set -e
mkdir -p /usr/local/bin /usr/local/share/rke2 /usr/local/lib/systemd/system /usr/local/lib/rke2/deep/er
ln -sf {toolbox.RKE2} /usr/local/bin/rke2
touch "/usr/local/share/rke2/a file" /usr/local/lib/systemd/system/rke2-server.service /usr/local/lib/rke2/deep/er/x
mkdir -p /var/lib/rancher/rke2/agent/logs /var/lib/rancher/rke2/server/db /etc/rancher/rke2 /etc/rancher/node
mkdir -p "/var/lib/kubelet/pods/a b" /opt/cni/bin /var/log/pods /var/lib/calico
touch "/var/lib/kubelet/pods/a b/-rf" /opt/cni/bin/bridge /etc/rancher/rke2/config.yaml
ln -sf /etc/hostname /var/lib/rancher/rke2/agent/link
"""
LEFT = """
ls -d /usr/local/bin/rke2* /usr/local/lib/rke2 /usr/local/share/rke2 /usr/local/lib/systemd/system/rke2*
find /etc/rancher /etc/cni /opt/cni/bin /var/lib/cni /var/lib/calico /var/lib/kubelet /var/lib/rancher \
    /var/log/pods -mindepth 1
"""
CREATE_SET = f"""
import struct
from rke2.host import ipsets
name, kind = ipsets._attribute(2, b"%s\\0"), ipsets._attribute(3, b"hash:ip\\0")
rest = ipsets._attribute(4, b"\\0") + ipsets._attribute(5, b"\\2") + ipsets._attribute(7 | 0x8000, b"")
for _ in ipsets._ask(2, {ipsets._ACK}, name + kind + rest): pass
"""


@pytest.fixture(scope="module", params=["debian", "musl"])
def host(request: pytest.FixtureRequest) -> Iterator[LabHost]:
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")
    if not (CONTENT / "hosts" / f"{request.param}.tar").is_file():
        pytest.skip("the distribution is not built")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        root = roots.chosen(request.param, CONTENT)
        lab = Lab(Path(directory) / "labs", f"b{os.getpid()}", root)
        try:
            yield lab.add_host("server-0")
        finally:
            lab.down()


@pytest.fixture
def prepared(host: LabHost) -> LabHost:
    host.exec(["sh", "-c", PREPARE], env=PATH, tools=False, check=True)
    for script in ("rke2-killall.sh", "rke2-uninstall.sh"):
        place = f"/usr/local/bin/{script}"
        text = (REPOSITORY / "packaging" / script).read_text()
        host.exec(["sh", "-c", f"cat > {place} && chmod 755 {place}"], input=text, check=True)
    return host


def sets(host: LabHost) -> list[str]:
    return host.exec([host.python, "-m", "rke2.host.ipsets", "list", ""], check=True).stdout.split()


def test_killall_removes_the_ip_sets_of_calico_and_no_others(prepared: LabHost) -> None:
    for name in ("cali40masq", "mine"):
        done = prepared.exec([prepared.python, "-c", CREATE_SET % name])
        assert done.returncode == 0, done.stderr
    assert sorted(sets(prepared)) == ["cali40masq", "mine"]
    done = prepared.exec(["/usr/local/bin/rke2-killall.sh"], env=PATH, tools=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert sets(prepared) == ["mine"]


def test_killall_says_that_rke2_is_gone(prepared: LabHost) -> None:
    prepared.exec(["rm", "/usr/local/bin/rke2"], check=True)
    done = prepared.exec(["/usr/local/bin/rke2-killall.sh"], env=PATH, tools=False, timeout=60)
    assert done.returncode == 0
    assert "IP sets of Calico may be left: rke2 is not there to remove them" in done.stderr


def test_uninstall_spares_what_is_mounted_below(prepared: LabHost) -> None:
    volume = "/var/lib/kubelet/volumes/own"
    prepared.exec(
        ["sh", "-c", f"mkdir -p {volume} && mount -t tmpfs none {volume} && touch {volume}/data"], check=True
    )
    done = prepared.exec(["/usr/local/bin/rke2-uninstall.sh"], env=PATH, tools=False, timeout=60)
    left = prepared.exec(["find", "/var/lib/kubelet", "-type", "f"]).stdout.split()
    prepared.exec(["sh", "-c", f"umount {volume}; rm -r /var/lib/kubelet/*"], check=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert left == [f"{volume}/data"]


def test_uninstall_leaves_nothing(prepared: LabHost) -> None:
    done = prepared.exec(["/usr/local/bin/rke2-uninstall.sh"], env=PATH, tools=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert prepared.exec(["sh", "-c", LEFT]).stdout == ""
