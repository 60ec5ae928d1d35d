"""The yardstick: kubeadm on a test host, with the same binaries, images, CNI and CoreDNS, all applied by hand."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import yaml

from distribution.builder import lines
from distribution.builder.places import Places
from rke2_lab.host import LabHost
from rke2_lab.node import LAB_CONFIG

CONTAINERD_SOCKET = "/run/k3s/containerd/containerd.sock"
KUBECONFIG = "/etc/kubernetes/admin.conf"
_WORK = "/var/lib/rancher/kubeadm"

_CONTAINERD = f"""version = 3
root = "{_WORK}/containerd"
state = "/run/k3s/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "docker.io/rke2py/pause:3.10.2"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
"""

VERSIONS = lines.load(Places.default()).components

_OURS = {
    "kube-": f"hardened-kubernetes:{VERSIONS['kubernetes']}",
    "etcd": f"hardened-etcd:{VERSIONS['etcd']}",
    "pause": "pause:3.10.2",
    "coredns": f"hardened-coredns:{VERSIONS['coredns']}",
}
"""What stands for the images kubeadm asks for, by the beginning of their names."""


class Kubeadm:
    """kubeadm on `host`.

    Args:
        dist: the built distribution.
        charts: rendered manifests of CNI and CoreDNS.
    """

    def __init__(self, host: LabHost, dist: Path, charts: str) -> None:
        self._host, self._dist, self._charts = host, dist, charts
        self._children: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Configuration files; nothing runs yet."""
        self._host.write_file(f"{_WORK}/containerd.toml", _CONTAINERD)
        self._host.write_file(f"{_WORK}/kubeadm.yaml", self._configuration())
        self._host.write_file(f"{_WORK}/charts.yaml", self._charts)

    def start_containerd(self) -> None:
        self._spawn(["containerd", "-c", f"{_WORK}/containerd.toml"])
        self._until("containerd", ["ctr", "version"])

    def import_images(self, *extra: Path) -> None:
        """Every archive after the other, as an operator would."""
        archives = [self._dist / f"rke2-images-{name}.linux-amd64.tar.zst" for name in ("core", "canal")]
        for archive in [*archives, *extra]:
            self._run(["ctr", "images", "import", str(archive)])
        for wanted in self._wanted_images():
            ours = next(name for start, name in _OURS.items() if wanted.rpartition("/")[2].startswith(start))
            self._run(["ctr", "images", "tag", f"docker.io/rke2py/{ours}", wanted])

    def _wanted_images(self) -> list[str]:
        """The images kubeadm would pull; all of them are given to it, so that it pulls none."""
        command = ["kubeadm", "config", "images", "list", "--config", f"{_WORK}/kubeadm.yaml"]
        return self._run(command).split()

    def init(self) -> None:
        """``kubeadm init``, the kubelet beside it, then CNI and CoreDNS by ``kubectl apply``."""
        self._spawn(["sh", "-c", _KUBELET])
        command = ["kubeadm", "init", "--config", f"{_WORK}/kubeadm.yaml", "--skip-phases", "addon/coredns"]
        self._run([*command, "--ignore-preflight-errors", "all"])
        # Without services the CNI's installer would hang for 30 s: a careful hand waits for kube-proxy.
        self._kubectl("rollout", "status", "--namespace", "kube-system", "daemonset/kube-proxy")
        self._kubectl("apply", "--server-side", "-f", f"{_WORK}/charts.yaml")
        self._kubectl("taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-")

    def join_command(self) -> list[str]:
        """What a worker is told to join this control plane."""
        return self._run(["kubeadm", "token", "create", "--print-join-command"]).split()

    def join(self, command: list[str]) -> None:
        """Run `command`, which is another one's `join_command`, the kubelet beside it."""
        self._spawn(["sh", "-c", _KUBELET])
        node = ["--cri-socket", f"unix://{CONTAINERD_SOCKET}", "--node-name", self._host.name]
        self._run([*command, *node, "--ignore-preflight-errors", "all"])

    def settle(self) -> None:
        """Wait until the CNI runs on every node."""
        self._kubectl("rollout", "status", "--namespace", "kube-system", "daemonset/rke2-canal")

    def delete_node(self, name: str) -> None:
        self._kubectl("delete", "node", name)

    def _kubectl(self, *arguments: str) -> None:
        self._run(["kubectl", "--kubeconfig", KUBECONFIG, *arguments])

    def stop(self) -> None:
        for child in self._children:
            child.terminate()
            child.wait()

    def _configuration(self) -> str:
        eviction = LAB_CONFIG["kubelet-arg+"][0].partition("=")[2]
        documents = [
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "InitConfiguration",
                "localAPIEndpoint": {"advertiseAddress": self._host.address},
                "nodeRegistration": {"criSocket": f"unix://{CONTAINERD_SOCKET}", "name": self._host.name},
            },
            {
                "apiVersion": "kubeadm.k8s.io/v1beta4",
                "kind": "ClusterConfiguration",
                "kubernetesVersion": VERSIONS["kubernetes"],
                "imageRepository": "docker.io/kubeadm",
                "etcd": {"local": {"imageTag": VERSIONS["etcd"]}},
                "networking": {"podSubnet": "10.42.0.0/16", "serviceSubnet": "10.43.0.0/16"},
            },
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "cgroupDriver": "cgroupfs",
                "failCgroupV1": False,
                "failSwapOn": False,
                "evictionHard": dict(item.split("<") for item in eviction.split(",")),
            },
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "conntrack": {"maxPerCore": 0, "min": 0},
            },
        ]
        return yaml.safe_dump_all(documents)

    def _environment(self) -> dict[str, str]:
        path = self._host.environment()["PATH"]
        return {
            "PATH": f"{self._dist.absolute() / 'bin'}:{path}",
            "CONTAINERD_ADDRESS": CONTAINERD_SOCKET,
            "CONTAINERD_NAMESPACE": "k8s.io",
        }

    def _spawn(self, command: list[str]) -> None:
        with (self._host.directory / "kubeadm.log").open("ab") as log:
            self._children.append(self._host.popen(command, env=self._environment(), stdout=log, stderr=log))

    def _run(self, command: list[str]) -> str:
        return self._host.exec(command, env=self._environment(), check=True).stdout

    def _until(self, what: str, command: list[str]) -> None:
        for _ in range(200):
            if self._host.exec(command, env=self._environment()).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{what} does not answer")


_KUBELET = """
until [ -s /var/lib/kubelet/config.yaml ] && [ -s /var/lib/kubelet/kubeadm-flags.env ]; do sleep 0.05; done
. /var/lib/kubelet/kubeadm-flags.env
while :; do
  kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf \
    --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
  sleep 1
done
"""
"""What the kubelet's systemd unit does, without its ten seconds between two tries."""
