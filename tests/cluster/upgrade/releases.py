"""Hosts with an installed release, on which something starts rke2 again whenever it ends, as systemd would."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.installation.release_files import SUMS, TARBALL, checksums, shelf, version_of
from rke2_lab.cluster import LabCluster
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode, Role
from tests.cluster.eventually import eventually
from tests.cluster.labs import CONTENT
from tests.cluster.nodes import BOOT_SECONDS, make_lean

NOW = CONTENT.parent / "release"
NEXT = CONTENT.parent / "v1.37" / "release"
PLACE = Path("/var/tmp/release")
"""Where a host has the next release, as if somebody had copied it there."""
KUBECONFIG = "/var/lib/rancher/rke2/agent/kubelet.kubeconfig"
"""Both roles have it, and it may see its own Node."""
PREFIX = "/opt/rke2"
"""On the disk that a lab's host keeps when its power fails; /usr is made again."""
PATH = {"PATH": f"{PREFIX}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_LOOP = 'while :; do {prefix}/bin/rke2 {role}; echo "rke2 ended: $?"; sleep 1; done'
_WITHOUT_VARIABLES = "unset KUBECONFIG CRI_CONFIG_FILE CONTAINERD_ADDRESS CONTAINERD_NAMESPACE"


def require_releases() -> None:
    """Skip, or where `CI` is set fail, if they are not made."""
    for release in (NOW, NEXT):
        if not (release / TARBALL).is_file():
            told = f"there is no {release / TARBALL}: make both with `make release`, RELEASE=v1.37 for the second"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(told)


@dataclass
class Kept:
    """A node whose rke2 is started again whenever it ends."""

    node: LabNode
    role: Role

    def install(self) -> None:
        """Install the present release, and copy the next one to the host's disk."""
        for release, place in ((NOW, PLACE.with_name("now")), (NEXT, PLACE)):
            for file in release.iterdir():
                if not file.name.endswith((".deb", ".rpm")):
                    self.node.host.place_file(file, place / file.name)
        self.sh(
            f"INSTALL_RKE2_TYPE={self.role} INSTALL_RKE2_TAR_PREFIX={PREFIX} sh {PLACE.with_name('now')}/install.sh",
            300,
        )

    def shelve(self) -> None:
        """Put the next release where Plans take it from."""
        version = version_of(NEXT)
        for name in (*checksums(NEXT), SUMS):
            if not name.endswith((".deb", ".rpm")):
                self.node.host.place_file(NEXT / name, shelf(Paths().data_dir, version) / name)

    def keep_running(self) -> None:
        """What a service manager does, for as long as the host runs."""
        with self.node.log.open("ab") as log:
            self.node.host.popen(
                ["sh", "-c", f"{_WITHOUT_VARIABLES}\n{_LOOP.format(role=self.role, prefix=PREFIX)}"],
                env=PATH,
                tools=False,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def power_cut(self) -> None:
        """Everything on the host is killed, and comes back."""
        self.node.host.stop()
        self.node.host.start()
        self.keep_running()

    def run(self, script: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return self.node.host.exec(
            ["sh", "-c", f"{_WITHOUT_VARIABLES}\n{script}"], env=PATH, tools=False, timeout=seconds
        )

    def sh(self, script: str, seconds: float = 60) -> str:
        """Output of a script that succeeds."""
        done = self.run(script, seconds)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def ready(self) -> None:
        done = self.run(f"rke2 status --wait --timeout {BOOT_SECONDS:.0f}s", BOOT_SECONDS + 30)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr

    def kubelet(self) -> str:
        """The version that the Node has, if it is Ready."""
        ask = f"rke2 kubectl --kubeconfig {KUBECONFIG} get node {self.node.host.name} --no-headers"
        row = self.run(ask).stdout.split()
        return row[-1] if len(row) > 1 and row[1] == "Ready" else ""

    def runs(self, version: str) -> None:
        """Wait until the Node is Ready with this version of Kubernetes, with all of its pods."""
        eventually(
            self.kubelet, f"{self.node.host.name} is Ready with {version}", BOOT_SECONDS, ok=version.__eq__
        )
        self.ready()

    def upgrade(self, arguments: str, code: int, seconds: float = 900) -> str:
        """Output of ``rke2 upgrade`` with both streams."""
        done = self.run(f"rke2 upgrade {arguments} 2>&1", seconds)
        assert done.returncode == code, done.stdout
        return done.stdout

    def spoil(self, archive: str, by: str) -> Path:
        """A release on the host that is `NEXT` but for one archive, which has the content of another one."""
        spoilt = PLACE.with_name("spoilt")
        self.sh(f"rm -rf {spoilt} && cp -al {PLACE} {spoilt} && ln -f {spoilt}/{by} {spoilt}/{archive}")
        lines = [line.split() for line in (NEXT / SUMS).read_text().splitlines()]
        sums = {name: digest for digest, name in lines} | {archive: _sha256(NEXT / by)}
        self.sh(f"rm {spoilt}/{SUMS}")
        text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        self.node.host.write_file(spoilt / SUMS, text)
        return spoilt


def installed(lab: Lab, name: str, role: Role) -> Kept:
    """A new host of `lab` with the present release, that nothing was started on."""
    node = Kept(LabCluster(lab).enrol(lab.add_host(name), role), role)
    node.node.configure()
    if role == "server":
        make_lean(node.node)
    node.install()
    return node


def kept(lab: Lab, name: str, role: Role) -> Kept:
    """The same as a node that is ready."""
    node = installed(lab, name, role)
    node.keep_running()
    node.ready()
    return node


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
