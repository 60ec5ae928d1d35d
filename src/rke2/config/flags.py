"""THE table of flags: every flag of ``rke2 server`` and ``rke2 agent``.

Single source of the command line, config.yaml, the environment variables, ``--help``,
docs/configuration.md and the JSON schema. RKE2 v1.36.4 has exactly these flags (hidden ones included) plus
our own `warn-unknown-keys`, `shared-agent-keys`, `etcd-snapshot-restrictions`, `etcd-snapshot-compression` and
`etcd-snapshot-verify-schedule-cron`.
What this release does not implement is in the table too
(``supported=False`` or `later` values), so that it is refused with a clear message and never silently ignored.
`K3S_ONLY` names the flags that k3s has and RKE2 drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from rke2.config import cni, ingress
from rke2.config.flag import AGENT, BOTH, Command, Flag, boolean, duration, group, integer, many, text
from rke2.config.model import COMPONENTS

_UNPACKAGED = ("cloud-controller-manager",)
"""Components that no packaged content runs yet: flags that only configure them are refused."""

# A table reads by rows.
# fmt: off
CONFIG = group(
    "config",
    text("config", "Load configuration from this file or http(s) URL; the environment variable wins over "
         "the flag", default="/etc/rancher/rke2/config.yaml", alias="c", env=("RKE2_CONFIG_FILE",),
         commands=BOTH, file=False),
    boolean("warn-unknown-keys", "Only warn about unknown keys in configuration files, as RKE2 does, "
            "instead of refusing to start", env=("RKE2_WARN_UNKNOWN_KEYS",), commands=BOTH),
)

LOGGING = group(
    "logging",
    boolean("debug", "Write debug logs", env=("RKE2_DEBUG",), commands=BOTH),
    integer("v", "Log level of the embedded controllers", commands=BOTH, hidden=True, supported=False),
    text("vmodule", "Log levels by file pattern", commands=BOTH, hidden=True, supported=False),
    text("log", "Write the log to this file", alias="l", commands=BOTH, hidden=True, supported=False),
    boolean("alsologtostderr", "Write the log to standard error as well as to the file", commands=BOTH,
            hidden=True, supported=False),
)

LISTENER = group(
    "listener",
    text("bind-address", "Address the supervisor and the kubelet listen on", default="0.0.0.0",
         commands=BOTH),
    text("advertise-address", "Address the apiserver publishes as the kubernetes Service's endpoint",
         default_text="node-external-ip or node-ip"),
    many("tls-san", "Further host names or addresses in the serving certificates of supervisor and "
         "apiserver", split=True),
    boolean("tls-san-security", "Refuse to add names to the supervisor's certificate that belong neither "
            "to a server node nor to tls-san", default=True),
    boolean("enable-pprof", "Serve profiling endpoints on the supervisor port", commands=BOTH,
            refused=("pprof is the profiler of Go, and rke2 is a Python process",
                     "remove it; docs/monitoring.md says how to profile rke2 and the components it runs")),
    boolean("supervisor-metrics", "Serve /metrics on port 9345 of every node of the cluster"),
)

DATA = group(
    "data",
    text("data-dir", "Directory of all state", default="/var/lib/rancher/rke2", alias="d",
         env=("RKE2_DATA_DIR",), commands=BOTH),
)

NETWORKING = group(
    "networking",
    many("cluster-cidr", "Pod network, one per address family",
         default_text="10.42.0.0/16, fd00:42::/56 on IPv6-only nodes", split=True),
    many("service-cidr", "Service network, one per address family",
         default_text="10.43.0.0/16, fd00:43::/112 on IPv6-only nodes", split=True),
    text("service-node-port-range", "Ports reserved for NodePort services", default="30000-32767"),
    many("cluster-dns", "Service address of the cluster DNS; lies within service-cidr",
         default_text="10th address of each service-cidr", split=True),
    text("cluster-domain", "DNS domain of the cluster", default="cluster.local"),
    text("egress-selector-mode", "How the apiserver reaches kubelets and pods", default="agent",
         choices=("agent", "cluster", "pod", "disabled")),
    text("servicelb-namespace", "Namespace of the ServiceLB pods", default="kube-system", supported=False),
    many("cni", "CNI plugin to deploy; multus may precede it", default_text="canal", env=("RKE2_CNI",),
         split=True, choices=cni.CHOICES, later=cni.LATER),
    many("ingress-controller", "Ingress controllers to deploy; the first gets the default IngressClass",
         default_text="the cluster's, in a new one ingress-nginx",
         env=("RKE2_INGRESS_CONTROLLER", "RKE_INGRESS_CONTROLLER"), split=True, choices=ingress.CHOICES),
    boolean("enable-servicelb", "Run the ServiceLB controller", env=("RKE2_ENABLE_SERVICELB",),
            supported=False),
)

CLIENT = group(
    "client",
    text("write-kubeconfig", "Where to write the admin kubeconfig",
         default_text="/etc/rancher/rke2/rke2.yaml", alias="o", env=("RKE2_KUBECONFIG_OUTPUT",)),
    text("write-kubeconfig-mode", "Octal mode of the admin kubeconfig", default_text="0600",
         env=("RKE2_KUBECONFIG_MODE",)),
    text("write-kubeconfig-group", "Group that owns the admin kubeconfig", env=("RKE2_KUBECONFIG_GROUP",)),
    # Undocumented upstream; the default is the name all kubeconfigs of RKE2 carry.
    text("write-kubeconfig-name", "Name of cluster, context and user in the admin kubeconfig",
         default="default", supported=False),
)

CLUSTER = group(
    "cluster",
    text("token", "Shared secret that lets servers and agents join", default_text="generated", alias="t",
         env=("RKE2_TOKEN",), commands=BOTH, secret=True),
    text("token-file", "File holding the token", env=("RKE2_TOKEN_FILE",), commands=BOTH),
    text("agent-token", "Shared secret that lets agents join, but not servers", default_text="the token",
         env=("RKE2_AGENT_TOKEN",), secret=True),
    text("agent-token-file", "File holding the agent token", env=("RKE2_AGENT_TOKEN_FILE",)),
    text("server", "Existing server to join, https://host:9345", alias="s", env=("RKE2_URL",),
         commands=BOTH),
    boolean("cluster-reset", "Forget all etcd peers and become the only member of a new cluster",
            env=("RKE2_CLUSTER_RESET",)),
    text("cluster-reset-restore-path", "Snapshot to restore during cluster-reset"),
)

DATASTORE = group(
    "db",
    text("datastore-endpoint", "Data source name of an external datastore",
         env=("RKE2_DATASTORE_ENDPOINT",), secret=True, supported=False),
    text("datastore-cafile", "CA file of the external datastore", env=("RKE2_DATASTORE_CAFILE",),
         supported=False),
    text("datastore-certfile", "Client certificate file for the external datastore",
         env=("RKE2_DATASTORE_CERTFILE",), supported=False),
    text("datastore-keyfile", "Client key file for the external datastore",
         env=("RKE2_DATASTORE_KEYFILE",), supported=False),
    boolean("etcd-expose-metrics", "Serve etcd metrics on the node address too"),
    boolean("etcd-disable-snapshots", "Take no scheduled etcd snapshots"),
    text("etcd-snapshot-name", "Base name of scheduled snapshots", default="etcd-snapshot"),
    text("etcd-snapshot-schedule-cron", "When to take snapshots, as a cron expression in the time zone of the "
         "host, or with CRON_TZ=<zone> in front; @every 6h and @daily are understood, too",
         default="0 */12 * * *"),
    duration("etcd-snapshot-reconcile-interval", "How often snapshot files and objects are compared",
             default=600.0),
    integer("etcd-snapshot-retention", "Scheduled snapshots kept on each server; 0 keeps all", default=5),
    text("etcd-snapshot-dir", "Directory of snapshots", default_text="<data-dir>/server/db/snapshots"),
    boolean("etcd-snapshot-compress", "Compress snapshots"),
    # RKE2 knows zip only, which is slow and for snapshots not small.
    text("etcd-snapshot-compression", "How snapshots are compressed: zip or zstd", default="zip",
         choices=("zip", "zstd")),
    text("etcd-snapshot-verify-schedule-cron", "When to restore the newest snapshot for a trial, written like "
         "etcd-snapshot-schedule-cron; empty for never", default="0 4 * * 0"),
    # RKE2 has no such flag yet; without it, whoever has the server token may have files written anywhere.
    boolean("etcd-snapshot-restrictions", "Refuse requests for snapshots outside of etcd-snapshot-dir",
            default=True),
)

S3 = group(
    "db",
    boolean("etcd-s3", "Copy snapshots to S3"),
    text("etcd-s3-endpoint", "S3 endpoint, a host or host:port", default="s3.amazonaws.com"),
    text("etcd-s3-endpoint-ca", "CA of the S3 endpoint, a path or base64 PEM"),
    boolean("etcd-s3-skip-ssl-verify", "Accept any certificate of the S3 endpoint"),
    text("etcd-s3-access-key", "S3 access key", env=("AWS_ACCESS_KEY_ID",), secret=True),
    text("etcd-s3-secret-key", "S3 secret key", env=("AWS_SECRET_ACCESS_KEY",), secret=True),
    text("etcd-s3-session-token", "S3 session token", env=("AWS_SESSION_TOKEN",), secret=True),
    text("etcd-s3-bucket", "S3 bucket, which has to exist"),
    text("etcd-s3-bucket-lookup-type", "How the bucket is addressed: auto, dns or path", default="auto"),
    text("etcd-s3-region", "S3 region", default="us-east-1"),
    text("etcd-s3-folder", "Folder in the bucket"),
    integer("etcd-s3-retention", "Snapshots of this server kept in S3; if not set, etcd-snapshot-retention",
            default=5),
    text("etcd-s3-proxy", "Proxy for S3, or none", default_text="process proxy environment"),
    text("etcd-s3-config-secret", "Secret in kube-system that holds the S3 settings, if no others are set"),
    boolean("etcd-s3-insecure", "Use plain http for S3"),
    duration("etcd-s3-timeout", "Time limit of each operation on S3", default=300.0),
)

COMPONENT_SWITCHES = group(
    "components",
    many("disable", "Packaged charts to leave out and to remove if deployed (rke2-coredns, "
         "rke2-metrics-server, rke2-snapshot-controller, rke2-snapshot-controller-crd, "
         "rke2-snapshot-validation-webhook, rke2-security-responder or any manifest's base name)",
         split=True),
    boolean("disable-scheduler", "Run no kube-scheduler"),
    # No cloud controller manager is packaged yet: this release behaves as if it were always set.
    boolean("disable-cloud-controller", "Run no cloud controller manager (none is packaged yet)"),
    boolean("disable-kube-proxy", "Run no kube-proxy"),
    boolean("disable-apiserver", "Run no kube-apiserver", hidden=True),
    boolean("disable-controller-manager", "Run no kube-controller-manager", hidden=True),
    boolean("disable-etcd", "Run no etcd", hidden=True),
    boolean("disable-agent", "Run no kubelet on this server", hidden=True, supported=False),
    boolean("embedded-registry", "Share images between the nodes over a peer-to-peer registry",
            supported=False),
    text("helm-job-image", "Image of the jobs that install charts (the same as "
         "helm-controller-arg default-job-image, which wins)"),
    many("helm-controller-arg", "Argument for the helm controller: default-job-image=IMAGE, "
         "job-resources=JSON or job-tolerations=JSON"),
)

COMPONENT_ARGUMENTS = group(
    "flags",
    many("kube-apiserver-arg", "Argument for kube-apiserver"),
    many("etcd-arg", "Argument for etcd"),
    many("kube-controller-manager-arg", "Argument for kube-controller-manager"),
    many("kube-scheduler-arg", "Argument for kube-scheduler"),
    many("kube-cloud-controller-manager-arg", "Argument for the cloud controller manager", supported=False),
)

AGENT_ARGUMENTS = group(
    "agent/flags",
    many("kubelet-arg", "Argument for the kubelet", commands=BOTH),
    many("kube-proxy-arg", "Argument for kube-proxy", commands=BOTH),
)

SECURITY = group(
    "security",
    boolean("secrets-encryption", "Encrypt Secrets in etcd; cannot be turned off", default=True, hidden=True),
    text("secrets-encryption-provider", "Cipher for Secrets in etcd", default="aescbc",
         choices=("aescbc", "secretbox")),
    text("audit-policy-file", "Audit policy; setting it turns audit logging on",
         env=("RKE2_AUDIT_POLICY_FILE",), commands=BOTH),
    text("pod-security-admission-config-file", "PodSecurity admission configuration, used as it is",
         default_text="/etc/rancher/rke2/rke2-pss.yaml, generated",
         env=("RKE2_POD_SECURITY_ADMISSION_CONFIG_FILE",), commands=BOTH),
    text("profile", "Check the host against and apply a hardening profile: cis or etcd",
         env=("RKE2_CIS_PROFILE",), commands=BOTH, choices=("cis", "etcd")),
    boolean("shared-agent-keys", "Give agents that send no certificate signing request (old releases of RKE2) a "
            "private key that all of them share, instead of refusing them", env=("RKE2_SHARED_AGENT_KEYS",)),
    boolean("prime", "Prime mode", env=("RKE2_PRIME",), hidden=True,
            refused=("it is for Rancher's own builds, whose registry and charts this one does not have",
                     "remove it; system-default-registry names a registry")),
)

NODE = group(
    "agent/node",
    text("node-name", "Name of the node", default_text="lower-cased host name", env=("RKE2_NODE_NAME",),
         commands=BOTH),
    boolean("with-node-id", "Append the id in /etc/rancher/node/id to the node name", commands=BOTH),
    many("node-label", "Label of the node, key=value", commands=BOTH, split=True),
    many("node-taint", "Taint the node registers with, key=value:effect", commands=BOTH, split=True),
    text("image-credential-provider-bin-dir", "Directory of credential provider plugins",
         default="/var/lib/rancher/credentialprovider/bin", commands=BOTH),
    text("image-credential-provider-config", "Configuration of credential provider plugins",
         default="/var/lib/rancher/credentialprovider/config.yaml", commands=BOTH),
    boolean("selinux", "Enable SELinux in containerd", env=("RKE2_SELINUX",), commands=BOTH),
    integer("lb-server-port", "Local port of the load balancer for supervisors; the one for apiservers "
            "takes the port below", default=6444, env=("RKE2_LB_SERVER_PORT",), commands=BOTH),
    boolean("protect-kernel-defaults", "Fail if kernel settings differ from the kubelet's defaults",
            commands=BOTH),
    text("kubelet-path", "The kubelet binary", default="kubelet", env=("RKE2_KUBELET_PATH",), commands=BOTH),
)

RUNTIME = group(
    "agent/runtime",
    text("container-runtime-endpoint", "CRI socket to use instead of the packaged containerd",
         commands=BOTH, supported=False),
    text("default-runtime", "Default runtime in containerd", commands=BOTH),
    boolean("disable-default-registry-endpoint", "Never fall back to a registry's own address when it "
            "has mirrors", commands=BOTH),
    boolean("nonroot-devices", "Let non-root containers use devices of their pod", commands=BOTH),
    text("snapshotter", "containerd snapshotter", default="overlayfs", commands=BOTH,
         choices=("overlayfs", "native"), later=("fuse-overlayfs", "stargz", "btrfs", "devmapper", "zfs")),
    text("private-registry", "Registry configuration file", default="/etc/rancher/rke2/registries.yaml",
         commands=BOTH),
    text("system-default-registry", "Registry that serves all packaged images",
         env=("RKE2_SYSTEM_DEFAULT_REGISTRY",)),
    # Deprecated upstream: an agent takes the value from its server.
    text("system-default-registry", "Ignored on agents: the server's value is used",
         env=("RKE2_SYSTEM_DEFAULT_REGISTRY",), commands=AGENT, hidden=True),
    many("airgap-extra-registry", "Registry whose name imported images are tagged with too", commands=BOTH,
         hidden=True),
)

ADDRESSES = group(
    "agent/networking",
    many("node-ip", "Address of the node, one per address family", default_text="detected", alias="i",
         commands=BOTH, split=True),
    many("node-external-ip", "External address of the node, one per address family", commands=BOTH,
         split=True),
    # A cloud controller manager writes them into the Node's addresses, and none is packaged yet.
    many("node-internal-dns", "Internal DNS name of the node", commands=BOTH, split=True, supported=False),
    many("node-external-dns", "External DNS name of the node", commands=BOTH, split=True, supported=False),
    text("resolv-conf", "resolv.conf of the kubelet", default_text="detected", env=("RKE2_RESOLV_CONF",),
         commands=BOTH),
)

CLOUD = group(
    "cloud provider",
    text("cloud-provider-name", "Cloud provider", env=("RKE2_CLOUD_PROVIDER_NAME",), commands=BOTH,
         supported=False),
    text("cloud-provider-config", "Configuration file of the cloud provider",
         env=("RKE2_CLOUD_PROVIDER_CONFIG",), commands=BOTH, supported=False),
    boolean("node-name-from-cloud-provider-metadata", "Take the node name from the instance metadata",
            env=("RKE2_NODE_NAME_FROM_CLOUD_PROVIDER_METADATA",), commands=BOTH, supported=False),
)

CONTROL_PLANE = group(
    "components",
    many("control-plane-resource-requests", "Requests of control-plane pods, "
         "<component>-(cpu|memory)=<quantity>", env=("RKE2_CONTROL_PLANE_RESOURCE_REQUESTS",),
         commands=BOTH, split=True),
    many("control-plane-resource-limits", "Limits of control-plane pods, "
         "<component>-(cpu|memory)=<quantity>", env=("RKE2_CONTROL_PLANE_RESOURCE_LIMITS",), commands=BOTH,
         split=True),
    many("control-plane-probe-configuration", "Probe numbers of control-plane pods, "
         "<component>-(liveness|readiness|startup)-(initial-delay-seconds|timeout-seconds|failure-threshold|"
         "period-seconds)=<number>",
         env=("RKE2_CONTROL_PLANE_PROBE_CONFIGURATION",), commands=BOTH, split=True),
)
# fmt: on


def _env(name: str) -> tuple[str, ...]:
    return ("RKE2_" + name.upper().replace("-", "_"),)


def _images() -> Iterator[Flag]:
    for subject in (*COMPONENTS, "pause", "runtime"):
        name = f"{subject}-image"
        yield text(
            name,
            f"Image of {subject} instead of the built-in one",
            default_text="built in",
            env=_env(name),
            commands=BOTH,
            supported=subject not in _UNPACKAGED,
        )


def _pod_extras(suffix: str, help: str) -> Iterator[Flag]:
    for component in COMPONENTS:
        name = f"{component}-{suffix}"
        yield many(
            name,
            help.format(component),
            env=_env(name),
            commands=BOTH,
            supported=component not in _UNPACKAGED,
        )


IMAGES = group("image", *_images())

POD_EXTRAS = group(
    "components",
    *_pod_extras("extra-mount", "Mount for the {} pod, source:destination[:ro|rw]"),
    *_pod_extras("extra-env", "Environment variable for the {} pod, KEY=VALUE"),
)

FLAGS: tuple[Flag, ...] = (
    *CONFIG,
    *LOGGING,
    *LISTENER,
    *DATA,
    *NETWORKING,
    *CLIENT,
    *CLUSTER,
    *DATASTORE,
    *S3,
    *COMPONENT_SWITCHES,
    *CONTROL_PLANE,
    *POD_EXTRAS,
    *COMPONENT_ARGUMENTS,
    *IMAGES,
    *SECURITY,
    *CLOUD,
    *NODE,
    *RUNTIME,
    *ADDRESSES,
    *AGENT_ARGUMENTS,
)

K3S_ONLY = frozenset(
    {
        "https-listen-port",
        "supervisor-port",
        "apiserver-port",
        "apiserver-bind-address",
        "advertise-port",
        "cluster-init",
        "flannel-backend",
        "flannel-iface",
        "flannel-conf",
        "flannel-cni-conf",
        "flannel-ipv6-masq",
        "flannel-external-ip",
        "vpn-auth",
        "vpn-auth-file",
        "kube-controller-arg",
        "kube-cloud-controller-arg",
        "kine-tls",
        "default-local-storage-path",
        "disable-network-policy",
        "disable-helm-controller",
        "docker",
        "image-service-endpoint",
        "rootless",
        "prefer-bundled-bin",
        "disable-apiserver-lb",
    }
)


def _by_name(flags: Iterable[Flag]) -> Mapping[str, Flag]:
    return MappingProxyType({flag.name: flag for flag in flags})


_TABLES: Mapping[Command, Mapping[str, Flag]] = {
    "server": _by_name(flag for flag in FLAGS if "server" in flag.commands),
    "agent": _by_name(flag for flag in FLAGS if "agent" in flag.commands),
}


def flags_of(command: Command) -> Mapping[str, Flag]:
    """The flags of one command by name, in the order of the table (groups stay together)."""
    return _TABLES[command]


def aliases_of(command: Command) -> Mapping[str, Flag]:
    """The flags of one command that have a one-letter form, by that letter."""
    return {flag.alias: flag for flag in _TABLES[command].values() if flag.alias}
