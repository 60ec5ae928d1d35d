"""The parsed configuration of one node: immutable, complete, with every default filled in.

Built once from flags, files and environment by `rke2.config.build`; handed to whoever needs a part of it.
Nothing in here is changed after the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Literal

from rke2.config.paths import Paths

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

SUPERVISOR_PORT = 9345
APISERVER_PORT = 6443

COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "cloud-controller-manager",
)
"""Components that run as static pods."""


@dataclass(frozen=True)
class NodeSettings:
    name: str
    ips: tuple[IPAddress, ...]
    external_ips: tuple[IPAddress, ...] = ()
    internal_dns: tuple[str, ...] = ()
    external_dns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    resolv_conf: Path | None = None
    selinux: bool = False
    protect_kernel_defaults: bool = False
    lb_server_port: int = 6444
    node_id: str = ""
    """With ``with-node-id``: the id at the end of `name`, to be kept in ``/etc/rancher/node/id``."""
    detected_ips: tuple[IPAddress, ...] = ()
    """The host's addresses, one per family, for an agent to choose from once it knows the cluster's families; empty
    if `ips` were given."""


@dataclass(frozen=True)
class NetworkSettings:
    """Addresses of cluster and node. On an agent the server's answer replaces the cluster-wide ones."""

    cluster_cidrs: tuple[IPNetwork, ...]
    service_cidrs: tuple[IPNetwork, ...]
    cluster_dns: tuple[IPAddress, ...]
    cluster_domain: str = "cluster.local"
    node_port_range: str = "30000-32767"
    egress_selector_mode: str = "agent"
    cni: tuple[str, ...] = ("canal",)
    ingress_controllers: tuple[str, ...] = ()
    ingress_by_default: bool = False
    """Nobody chose `ingress_controllers`: a cluster that has one already keeps it."""
    bind_address: str = "0.0.0.0"
    advertise_address: IPAddress | None = None
    tls_sans: tuple[str, ...] = ()
    tls_san_security: bool = True
    """The certificate of port 9345 gains only names of `tls_sans` and addresses of servers at run time."""


@dataclass(frozen=True)
class ProbeSettings:
    """Numbers of one probe, in seconds; None keeps the default of the reference."""

    initial_delay_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None
    period_seconds: int | None = None


@dataclass(frozen=True)
class ComponentSettings:
    """What the flags say of one static pod or of the kubelet."""

    args: tuple[str, ...] = ()
    image: str = ""
    extra_mounts: tuple[str, ...] = ()
    extra_env: tuple[str, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, ProbeSettings] = field(default_factory=dict)
    disabled: bool = False


@dataclass(frozen=True)
class ImageSettings:
    runtime: str = ""
    pause: str = ""
    helm_job: str = ""
    system_default_registry: str = ""
    airgap_extra_registries: tuple[str, ...] = ()
    private_registry: Path = Path("/etc/rancher/rke2/registries.yaml")
    disable_default_registry_endpoint: bool = False


@dataclass(frozen=True)
class RuntimeSettings:
    """Container runtime and kubelet binaries."""

    snapshotter: str = "overlayfs"
    default_runtime: str = ""
    nonroot_devices: bool = False
    kubelet_path: str = "kubelet"
    credential_provider_bin_dir: Path = Path("/var/lib/rancher/credentialprovider/bin")
    credential_provider_config: Path = Path("/var/lib/rancher/credentialprovider/config.yaml")


@dataclass(frozen=True)
class HelmJobSettings:
    """What the operator says of the jobs that install charts: image, resources (None: the default), tolerations."""

    image: str = ""
    resources: Mapping[str, Mapping[str, str]] | None = None
    tolerations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class S3Settings:
    """An object store for snapshots: the flags ``etcd-s3-*``, a request's ``s3``, or the config Secret.

    Args:
        endpoint: host, or host and port.
        endpoint_ca: authorities besides the system's, separated by blanks: each a path, or PEM in base64.
        endpoint_ca_pem: further ones in PEM, out of a Secret or ConfigMap.
        lookup: ``dns`` (the bucket in the host name), ``path``, or ``auto``.
        proxy: URL; ``none`` for no proxy, empty for what the environment says.
        config_secret: Secret in kube-system with all the others; counts if they are not set.
        retention: how many snapshots of a base name and node are kept; below 1 all are.
        timeout: seconds for each operation.
    """

    endpoint: str = "s3.amazonaws.com"
    endpoint_ca: str = ""
    skip_verify: bool = False
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    bucket: str = ""
    lookup: str = "auto"
    region: str = "us-east-1"
    folder: str = ""
    proxy: str = ""
    config_secret: str = ""
    insecure: bool = False
    retention: int = 5
    timeout: float = 300.0
    endpoint_ca_pem: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """Where snapshots are, as an operator finds them."""
        if self.in_secret:
            return f"the S3 store of Secret {self.config_secret}"
        folder = self.folder.strip("/")
        return f"s3://{self.bucket}/{folder}".rstrip("/") + f" at {self.endpoint}"

    @property
    def in_secret(self) -> bool:
        """Whether a Secret of the cluster has all of it: what is set here wins over one."""
        return bool(self.config_secret) and self.is_default

    @property
    def is_default(self) -> bool:
        """Whether nothing but the Secret's name and the retention is set."""
        return replace(self, config_secret="", retention=5) == S3Settings()


@dataclass(frozen=True)
class SnapshotSettings:
    """The scheduled snapshots of etcd, and where others may be put.

    Args:
        name: base name, followed in file names by the node and the time.
        schedule: as it was written; see `rke2.config.schedule`.
        retention: how many of this name are kept on this server; below 1 all are.
        directory: None for the default, `Paths.snapshots`, which is made if it is missing.
        compression: how `compress` does it: ``zip``, which RKE2 knows, or ``zstd``.
        restrictions: requests stay within the directory.
        reconcile_interval: seconds between two comparisons of files and objects.
        verify_schedule: when the newest snapshot is restored for a trial; empty for never.
        s3: where scheduled snapshots are copied to; None keeps them on the server.
    """

    disabled: bool = False
    name: str = "etcd-snapshot"
    schedule: str = "0 */12 * * *"
    retention: int = 5
    directory: Path | None = None
    compress: bool = False
    compression: str = "zip"
    restrictions: bool = True
    reconcile_interval: float = 600.0
    verify_schedule: str = "0 4 * * 0"
    s3: S3Settings | None = None

    @property
    def copied_to(self) -> str:
        """Where scheduled snapshots are copied to, as an operator finds them; empty for nowhere."""
        return self.s3.place if self.s3 else ""


@dataclass(frozen=True)
class ResetSettings:
    """``cluster-reset``: this start makes the server the only member of its cluster, and ends.

    Args:
        restore: the snapshot to begin with; None goes on with the data that is there.
        id: of the restore of the whole cluster that this is a part of; empty for ``--cluster-reset``.
        cluster: the etcd cluster that ends with that, in hexadecimal; empty if it is not known.
    """

    restore: Path | None = None
    id: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class RejoinSettings:
    """This start joins a restored cluster again: with an empty member, the keys on disk replaced by that cluster's.

    Args:
        id: of the restore.
        aside: the former member is out of the way already.
    """

    id: str
    aside: bool = False


@dataclass(frozen=True)
class HeldEtcd:
    """This start goes on with the etcd of the release before (`rke2.etcd.held`), which is the component's image.

    Args:
        version: of it, such as ``3.6.14``.
        digest: of its image; empty if that is not known.
        brought: the image that the release brings.
    """

    version: str
    digest: str
    brought: str


@dataclass(frozen=True)
class ServerSettings:
    """What only a server has."""

    token: str = ""
    agent_token: str = ""
    disable: tuple[str, ...] = ()
    write_kubeconfig: Path | None = None
    write_kubeconfig_mode: int = 0o600
    write_kubeconfig_group: str = ""
    secrets_encryption_provider: str = "aescbc"
    audit_policy_file: Path | None = None
    psa_config_file: Path | None = None
    etcd_expose_metrics: bool = False
    helm_jobs: HelmJobSettings = HelmJobSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    reset: ResetSettings | None = None
    """None at every start but that of a cluster reset."""
    rejoin: RejoinSettings | None = None
    """None at every start but the first after the cluster was restored elsewhere."""
    held_etcd: HeldEtcd | None = None
    """None unless this server goes on with the etcd of the release before."""
    shared_agent_keys: bool = False
    """Agents that send no signing request get a certificate with a private key that all such agents share."""


@dataclass(frozen=True)
class JoinSettings:
    """Which cluster to join, and with what secret (empty if the node already has its certificates).

    `server_url` is ``https://<host>:<port>`` without a path; `token` is as the operator gave it, short or full.
    """

    server_url: str
    token: str = ""


@dataclass(frozen=True)
class NodeConfig:
    """Everything a node was told. `server` is None on an agent, `join` on a server that joins no other."""

    role: Literal["server", "agent"]
    paths: Paths
    node: NodeSettings
    network: NetworkSettings
    images: ImageSettings
    runtime: RuntimeSettings
    components: Mapping[str, ComponentSettings]
    kubelet_args: tuple[str, ...] = ()
    profile: str = ""
    debug: bool = False
    supervisor_metrics: bool = False
    """Whether port 9345 has the figures of this node; on an agent what its cluster says."""
    server: ServerSettings | None = None
    join: JoinSettings | None = None
    argv: tuple[str, ...] = ()
    """Verb and effective flags, config files included, secrets masked (for the node-args annotation)."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """The ``RKE2_`` variables, secrets masked (for the node-env annotation)."""

    @property
    def runs_apiserver(self) -> bool:
        """Whether this node is a server with an API server of its own."""
        return self.server is not None and not self.component("kube-apiserver").disabled

    def component(self, name: str) -> ComponentSettings:
        """Settings of the static pod `name` (see `COMPONENTS`)."""
        return self.components.get(name) or ComponentSettings()
