"""A release as a user has it: the one file, the archives and ``install.sh``, on hosts with next to nothing.

The node runs from the installed file alone. Nothing in it comes from this source tree, and no Python is on the host.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rke2_lab import roots
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.labs import CONTENT, gone_afterwards
from tests.cluster.nodes import BOOT_SECONDS

pytestmark = pytest.mark.long

RELEASE = CONTENT.parent / "release"
TARBALL = "rke2.linux-amd64.tar.gz"
PLACE = "/var/tmp/release"
"""On the host's disk, as if somebody had copied it there."""
PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_WITHOUT_VARIABLES = ("KUBECONFIG", "CRI_CONFIG_FILE", "CONTAINERD_ADDRESS", "CONTAINERD_NAMESPACE")
"""A lab sets them for people; rke2 has to do without."""
_LEFT = """
ls -d /usr/local/bin/rke2* /usr/local/share/rke2 /usr/local/lib/systemd
find /etc/rancher /etc/cni /opt/cni /var/lib/cni /var/lib/calico /var/lib/kubelet /var/lib/rancher /var/log/pods \
    /var/log/containers -mindepth 1
"""


@dataclass(frozen=True)
class Installed:
    """A host with the release on it, and the process of its node."""

    node: LabNode
    running: subprocess.Popen[bytes]

    def sh(self, script: str, timeout: float = 60) -> str:
        """Output of a shell script that succeeds, with the host's own programs only."""
        return sh(self.node, script, timeout)


def sh(node: LabNode, script: str, timeout: float = 60) -> str:
    done = node.host.exec(["sh", "-c", _unset(script)], env=PATH, tools=False, timeout=timeout)
    assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
    return done.stdout


def _unset(script: str) -> str:
    return f"unset {' '.join(_WITHOUT_VARIABLES)}\n{script}"


@pytest.fixture(scope="module", params=["debian", "musl", "trixie"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The host's files: two archives of the builder, and an empty Debian 13."""
    name: str = request.param
    if name != "trixie":
        return roots.chosen(name, CONTENT)
    archive = tmp_path_factory.mktemp("root") / f"{name}.tar"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", name, str(archive)], check=True, timeout=600
    )
    return str(archive)


@pytest.fixture(scope="module")
def installed(root: str, lab: Lab) -> Iterator[Installed]:
    """A server that was installed and started by what docs/install.md says."""
    if not (RELEASE / TARBALL).is_file():
        if os.environ.get("CI"):
            pytest.fail(f"there is no {RELEASE / TARBALL}: make it with `make release`")
        pytest.skip("the release is not made: `make release`")
    with gone_afterwards(Lab(lab.state_dir, f"{lab.name}{Path(root).stem[:2]}", root)) as own:
        node = LabNode(own.add_host("server-0"))
        node.configure()
        for file in RELEASE.iterdir():
            if file.name.startswith(("rke2", "sha256sum", "install")) and not file.name.endswith(
                (".deb", ".rpm")
            ):
                node.host.place_file(file, f"{PLACE}/{file.name}")
        said = sh(node, f"sh {PLACE}/install.sh", timeout=120)
        assert said.endswith("there is no systemd here; start it with: /usr/local/bin/rke2 server\n")
        with node.log.open("ab") as log:
            start = node.host.popen(
                ["sh", "-c", _unset("exec /usr/local/bin/rke2 server")],
                env=PATH,
                tools=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        sh(node, f"rke2 status --wait --timeout {BOOT_SECONDS:.0f}s", timeout=BOOT_SECONDS + 30)
        yield Installed(node, start)


def test_the_node_is_ready(installed: Installed) -> None:
    (line,) = installed.sh("rke2 kubectl get nodes --no-headers").splitlines()
    assert line.split()[:2] == ["server-0", "Ready"]


def test_the_node_runs_from_what_was_installed(installed: Installed) -> None:
    """Every program and library that it has mapped is below its data directory; no Python is on the host."""
    host = installed.node.host
    pid = host.exec(["pgrep", "-o", "-f", "^rke2 server"]).stdout.strip()
    maps = host.path(f"/proc/{pid}/maps").read_text().splitlines()
    data = ("/locale/", "/gconv/gconv-modules.cache")
    files = {
        line.split(maxsplit=5)[5] for line in maps if "/" in line and not any(each in line for each in data)
    }
    assert files and all(file.startswith("/var/lib/rancher/rke2/") for file in files), files
    assert installed.sh("command -v python3 || echo none") == "none\n"


def test_the_ingress_controller_answers_on_port_80(installed: Installed) -> None:
    host = installed.node.host
    ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{host.address}/"]
    inside = ["ip", "netns", "exec", host.record.netns, *ask]
    code = eventually(
        lambda: subprocess.run(inside, capture_output=True, text=True, check=False).stdout,
        "port 80 answers",
        60,
        ok="404".__eq__,
    )
    assert code == "404", "nginx' own answer for what no Ingress names"


def test_the_programs_of_the_node(installed: Installed) -> None:
    assert "kube-apiserver" in installed.sh("rke2 crictl ps")
    assert "hardened-kubernetes" in installed.sh("rke2 ctr images ls -q")
    done = installed.node.host.exec(
        ["rke2", "kubectl", "get", "pod", "nobody"], env=PATH | {"KUBECONFIG": ""}, tools=False
    )
    assert done.returncode == 1 and '"nobody" not found' in done.stderr


def test_installing_again_disturbs_no_pod(installed: Installed) -> None:
    columns = "U:.metadata.uid,R:.status.containerStatuses[*].restartCount"
    pods = f"rke2 kubectl get pods -A --no-headers -o custom-columns={columns}"
    before = sorted(installed.sh(pods).splitlines())
    said = installed.sh(f"sh {PLACE}/install.sh", timeout=120)
    assert "the node that runs here (process " in said
    assert installed.running.poll() is None
    assert set(before) <= set(installed.sh(pods).splitlines())


def test_uninstall_leaves_nothing(installed: Installed) -> None:
    """Last: it ends the node."""
    installed.sh("rke2-uninstall.sh", timeout=180)
    left = installed.node.host.exec(["sh", "-c", _LEFT], env=PATH, tools=False)
    assert left.stdout == ""
    assert installed.running.wait(20) == 0
    assert installed.node.host.exec(["pgrep", "containerd|kube|etcd|rke2"]).stdout == ""
    mounts = installed.sh("cat /proc/self/mounts")
    assert "/run/k3s" not in mounts and "/var/lib/kubelet/" not in mounts
