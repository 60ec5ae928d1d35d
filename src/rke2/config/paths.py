"""Where everything lives on a node: the table of paths of the layout reference.

All paths are derived from the data directory and two fixed roots, so a test can move the whole tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_DATA_DIR = Path("/var/lib/rancher/rke2")
DEFAULT_CONFIG_DIR = Path("/etc/rancher/rke2")


@dataclass(frozen=True)
class Paths:
    """The paths of one node (``<dd>`` in the reference is `data_dir`)."""

    data_dir: Path = DEFAULT_DATA_DIR
    config_dir: Path = DEFAULT_CONFIG_DIR
    node_config_dir: Path = Path("/etc/rancher/node")
    run_dir: Path = Path("/run/k3s")
    kubelet_dir: Path = Path("/var/lib/kubelet")
    bin: Path = field(init=False)
    agent: Path = field(init=False)
    server: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bin", self.data_dir / "bin")
        object.__setattr__(self, "agent", self.data_dir / "agent")
        object.__setattr__(self, "server", self.data_dir / "server")

    # --- data dir root -------------------------------------------------------------------------
    @property
    def data(self) -> Path:
        """Extracted runtime images, one directory per data key."""
        return self.data_dir / "data"

    @property
    def lock(self) -> Path:
        """Locked by the running rke2 process (ours; RKE2 has no such file)."""
        return self.data_dir / "rke2.lock"

    @property
    def force_restart(self) -> Path:
        """Marker: restart all control-plane pods at the next start."""
        return self.data_dir / "force-restart"

    @property
    def status(self) -> Path:
        """State file written by the running process and read by ``rke2 status`` (ours)."""
        return self.data_dir / "status.json"

    # --- agent ---------------------------------------------------------------------------------
    @property
    def images(self) -> Path:
        return self.agent / "images"

    @property
    def pod_manifests(self) -> Path:
        return self.agent / "pod-manifests"

    def pod_manifest(self, name: str) -> Path:
        """The static pod manifest of the component `name`."""
        return self.pod_manifests / f"{name}.yaml"

    @property
    def programs(self) -> Path:
        """Links to programs that take the place of the host's (ours)."""
        return self.agent / "programs"

    @property
    def agent_logs(self) -> Path:
        return self.agent / "logs"

    @property
    def kubelet_log(self) -> Path:
        """Unless a ``kubelet-arg`` names another file."""
        return self.agent_logs / "kubelet.log"

    @property
    def agent_etc(self) -> Path:
        return self.agent / "etc"

    @property
    def kubelet_conf_dir(self) -> Path:
        return self.agent_etc / "kubelet.conf.d"

    @property
    def crictl_config(self) -> Path:
        return self.agent_etc / "crictl.yaml"

    @property
    def kubelet_kubeconfig(self) -> Path:
        return self.agent / "kubelet.kubeconfig"

    @property
    def containerd_root(self) -> Path:
        return self.agent / "containerd"

    @property
    def containerd_config(self) -> Path:
        return self.agent_etc / "containerd" / "config.toml"

    @property
    def containerd_certs_d(self) -> Path:
        return self.agent_etc / "containerd" / "certs.d"

    @property
    def containerd_state(self) -> Path:
        return self.run_dir / "containerd"

    @property
    def containerd_tasks(self) -> Path:
        """One directory for each container that runs, by id."""
        return self.containerd_state / "io.containerd.runtime.v2.task" / "k8s.io"

    @property
    def containerd_socket(self) -> Path:
        return self.containerd_state / "containerd.sock"

    # --- server --------------------------------------------------------------------------------
    @property
    def tls(self) -> Path:
        return self.server / "tls"

    @property
    def cred(self) -> Path:
        return self.server / "cred"

    @property
    def supervisor_kubeconfig(self) -> Path:
        return self.cred / "supervisor.kubeconfig"

    @property
    def server_etc(self) -> Path:
        return self.server / "etc"

    @property
    def manifests(self) -> Path:
        return self.server / "manifests"

    def kept(self, setting: str) -> Path:
        """What the cluster was created with (ours)."""
        return self.server / setting

    @property
    def server_logs(self) -> Path:
        return self.server / "logs"

    @property
    def token(self) -> Path:
        return self.server / "token"

    @property
    def etcd(self) -> Path:
        return self.server / "db" / "etcd"

    @property
    def snapshots(self) -> Path:
        """Snapshots of etcd, unless etcd-snapshot-dir says otherwise."""
        return self.server / "db" / "snapshots"

    @property
    def reset_flag(self) -> Path:
        """Present from the end of a cluster reset to the next normal start."""
        return self.server / "db" / "reset-flag"

    @property
    def reset_unfinished(self) -> Path:
        """Present while a cluster reset has begun to change things and has not come to its end (ours)."""
        return self.server / "db" / "reset-unfinished"

    @property
    def reset_scratch(self) -> Path:
        """What a cluster reset works in; the restored database until it is known to be good (ours)."""
        return self.server / "db" / "etcd-restore"

    @property
    def drill_scratch(self) -> Path:
        """Where a snapshot is restored to see that it can be (ours)."""
        return self.server / "db" / "etcd-drill"

    # --- /etc ----------------------------------------------------------------------------------
    @property
    def pss(self) -> Path:
        """Default PodSecurity admission configuration."""
        return self.config_dir / "rke2-pss.yaml"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.config_dir / "rke2.yaml"
