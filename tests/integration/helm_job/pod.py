"""Runs the helm-job binary as the job's pod would: its own root directory, user 1000, mounted volumes."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.binaries import binary
from tests.control_plane import ADDRESS, PORT, ControlPlane

USER = 1000
WRITABLE = ("tmp", "home/klipper-helm/.cache", "home/klipper-helm/.config", "home/klipper-helm/.helm")
SERVICE_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"

# Read-only binds keep the two binaries out of every test's folder; the mounts end with the process.
ENTER = """
set -e
for binary in helm helm-job; do mount --bind "$2/$binary" "$1/usr/bin/$binary"; done
for device in null urandom; do mount --bind "/dev/$device" "$1/dev/$device"; done
root=$1; shift 2
exec chroot --userspec=1000:1000 "$root" "$@"
"""


@dataclass(frozen=True)
class Outcome:
    """How one container run ended."""

    code: int
    output: str
    termination: str

    def helm_calls(self) -> list[str]:
        """The Helm commands that were run, one word each."""
        marker = "helm-job: running helm "
        lines = [each for each in self.output.splitlines() if each.startswith(marker)]
        return [each.removeprefix(marker).split()[0] for each in lines]


@dataclass
class Pod:
    """One HelmChart's job: environment and volumes as the controller makes them.

    Args:
        volumes: path below the root -> content.
    """

    cluster: ControlPlane
    root: Path
    namespace: str
    token: str = field(repr=False)
    env: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict, repr=False)

    def chart(self, archive: bytes) -> None:
        """Mount `archive` as the HelmChart's chartContent."""
        self.volumes[f"chart/{self.env.get('NAME', 'demo')}.tgz.base64"] = base64.b64encode(archive).decode()

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        """Start the container; its standard output and error are one pipe."""
        self._make_root()
        binaries = str(binary("helm").parent)
        enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(self.root), binaries, "/usr/bin/helm-job"]
        return subprocess.Popen(
            self.cluster.command(*enter, *args),
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"} | self._environment() | self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str, **env: str) -> Outcome:
        """Run the container to its end."""
        process = self.start(*args, **env)
        output, _ = process.communicate(timeout=180)
        return Outcome(process.returncode, output, (self.root / "dev/termination-log").read_text())

    def install(self, expected: int, policy: str = "retry", *sets: str) -> Outcome:
        """One install or upgrade run with values given like ``message=hello``."""
        flags = [flag for each in sets for flag in ("--set", each)]
        return self.run(
            "install",
            "--namespace",
            self.namespace,
            *flags,
            EXPECTED_RELEASE_REVISION=str(expected),
            FAILURE_POLICY=policy,
        )

    def records(self) -> dict[int, str]:
        """Revision -> status of every stored release record, by their labels."""
        kind = "configmaps" if self.env.get("HELM_DRIVER") == "configmap" else "secrets"
        found = self.cluster.get(kind, "-n", self.namespace, "-l", "owner=helm")
        labels = [each["metadata"]["labels"] for each in found["items"]]
        return {int(each["version"]): each["status"] for each in labels}

    def message(self) -> str | None:
        """What the release's ConfigMap says; None if there is none."""
        items = self.cluster.get("configmaps", "-n", self.namespace)["items"]
        found = [each["data"]["message"] for each in items if each["metadata"]["name"] == "demo"]
        return found[0] if found else None

    def _environment(self) -> dict[str, str]:
        return {
            "NAME": "demo",
            "CHART": "",
            "REPO": "",
            "VERSION": "",
            "HELM_DRIVER": "secret",
            "HELM_VERSION": "",
            "CHART_NAMESPACE": self.namespace,
            "TARGET_NAMESPACE": self.namespace,
            "SERVER_SIDE": "auto",
            "FORCE_CONFLICTS": "true",
            "CONFIG_HASH": "C0FFEE",
            "KUBERNETES_SERVICE_HOST": ADDRESS,
            "KUBERNETES_SERVICE_PORT": str(PORT),
        }

    def _make_root(self) -> None:
        files = self.volumes | {
            "usr/bin/helm": "",
            "usr/bin/helm-job": "",
            "dev/null": "",
            "dev/urandom": "",
            "dev/termination-log": "",
            f"{SERVICE_ACCOUNT}/token": self.token,
            f"{SERVICE_ACCOUNT}/ca.crt": self.cluster.certificate.read_text(),
            f"{SERVICE_ACCOUNT}/namespace": self.namespace,
        }
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for name in WRITABLE:
            (self.root / name).mkdir(parents=True, exist_ok=True)
            (self.root / name).chmod(0o777)
        self.root.chmod(0o755)
        (self.root / "dev/termination-log").chmod(0o666)
