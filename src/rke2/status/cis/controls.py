"""THE table of points: the numbers are those of the CIS Kubernetes Benchmark 1.9, the titles are ours.

Numbers and what they ask for were compared with kube-bench's files for that release (``cfg/cis-1.9``). What a node
cannot know is `manual`, with what to look at. What only another way of installing Kubernetes has is left out: the unit
file of the kubelet, 4.1.1 and 4.1.2. The parts of section 5, which is about the cluster, have one line each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rke2.config.paths import Paths
from rke2.status.cis.checks import (
    Check,
    Places,
    are_all,
    argument,
    at_least,
    equals,
    etcd,
    is_not_set,
    is_on_this_host,
    is_set,
    kubelet,
    lacks,
    lists,
    manual,
    modes,
    owner,
)

_WITH_GCM = frozenset(
    f"TLS_{exchange}_WITH_{cipher}"
    for exchange in ("ECDHE_ECDSA", "ECDHE_RSA", "RSA")
    for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384")
)
KUBELET_SUITES = _WITH_GCM | {f"TLS_ECDHE_{key}_WITH_CHACHA20_POLY1305" for key in ("ECDSA", "RSA")}
API_SUITES = (
    KUBELET_SUITES
    | {f"{suite}_SHA256" for suite in KUBELET_SUITES - _WITH_GCM}
    | {suite.replace("_GCM_SHA256", "_CBC_SHA").replace("_GCM_SHA384", "_CBC_SHA") for suite in _WITH_GCM}
    | {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
"""Without the three with 3DES, which the benchmark takes for strong, and which Kubernetes warns of."""

API, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
PROXY = "kube-proxy"


@dataclass(frozen=True)
class Control:
    """One point."""

    id: str
    title: str
    check: Check


def _at(place: Callable[[Paths], Path], glob: str = "") -> Places:
    return lambda paths: [(place(paths), glob)]


def _manifest(name: str) -> Places:
    return lambda paths: [(paths.pod_manifests, f"{name}.yaml")]


def _cred(name: str) -> Places:
    return lambda paths: [(paths.cred, name)]


_CNI = _at(lambda paths: Path("/etc/cni/net.d"), "*.conf*")
_ETCD = _at(lambda paths: paths.etcd)
_ADMIN: Places = lambda paths: [(paths.config_dir, "rke2.yaml"), (paths.cred, "admin.kubeconfig")]  # noqa: E731
_PKI: Places = lambda paths: [(paths.tls, ""), (paths.tls, "*.crt"), (paths.tls, "*.key")]  # noqa: E731
_KEYS = _at(lambda paths: paths.tls, "*.key")
_KUBELET_CONFIG = _at(lambda paths: paths.kubelet_conf_dir, "*.conf")
_CLIENT_CA = _at(lambda paths: paths.agent, "client-ca.crt")

CONTROLS: tuple[Control, ...] = (
    Control("1.1.1", "The API server's manifest is closed to others", modes(0o600, _manifest(API))),
    Control("1.1.2", "The API server's manifest is root's", owner("root:root", _manifest(API))),
    Control(
        "1.1.3", "The controller manager's manifest is closed to others", modes(0o600, _manifest(MANAGER))
    ),
    Control("1.1.4", "The controller manager's manifest is root's", owner("root:root", _manifest(MANAGER))),
    Control("1.1.5", "The scheduler's manifest is closed to others", modes(0o600, _manifest(SCHEDULER))),
    Control("1.1.6", "The scheduler's manifest is root's", owner("root:root", _manifest(SCHEDULER))),
    Control("1.1.7", "etcd's manifest is closed to others", modes(0o600, _manifest("etcd"))),
    Control("1.1.8", "etcd's manifest is root's", owner("root:root", _manifest("etcd"))),
    Control("1.1.9", "The network plugin's configuration is closed to others", modes(0o600, _CNI)),
    Control("1.1.10", "The network plugin's configuration is root's", owner("root:root", _CNI)),
    Control("1.1.11", "etcd's data is closed to others", modes(0o700, _ETCD)),
    Control("1.1.12", "etcd's data is the user etcd's", owner("etcd:etcd", _ETCD)),
    Control("1.1.13", "The administrator's kubeconfig is closed to others", modes(0o600, _ADMIN)),
    Control("1.1.14", "The administrator's kubeconfig is root's", owner("root:root", _ADMIN)),
    Control(
        "1.1.15",
        "The scheduler's kubeconfig is closed to others",
        modes(0o600, _cred("scheduler.kubeconfig")),
    ),
    Control(
        "1.1.16", "The scheduler's kubeconfig is root's", owner("root:root", _cred("scheduler.kubeconfig"))
    ),
    Control(
        "1.1.17",
        "The controller manager's kubeconfig is closed to others",
        modes(0o600, _cred("controller.kubeconfig")),
    ),
    Control(
        "1.1.18",
        "The controller manager's kubeconfig is root's",
        owner("root:root", _cred("controller.kubeconfig")),
    ),
    Control("1.1.19", "Certificates and keys are root's", owner("root:root", _PKI)),
    Control(
        "1.1.20",
        "Certificates are closed to others",
        manual(
            "asked for is 0600; they have 0644, as they are no secret, below a directory of root's own (0700)"
        ),
    ),
    Control("1.1.21", "Private keys are closed to others", modes(0o600, _KEYS)),
    Control(
        "1.2.1",
        "The API server takes no anonymous requests",
        argument(API, equals("false"), "anonymous-auth"),
    ),
    Control("1.2.2", "There is no file of static tokens", argument(API, is_not_set, "token-auth-file")),
    Control(
        "1.2.3",
        "External addresses of Services are refused",
        manual("plugin DenyServiceExternalIPs, if you want it"),
    ),
    Control(
        "1.2.4",
        "The API server shows kubelets a certificate",
        argument(API, is_set, "kubelet-client-certificate", "kubelet-client-key"),
    ),
    Control(
        "1.2.5",
        "The API server checks certificates of kubelets",
        argument(API, is_set, "kubelet-certificate-authority"),
    ),
    Control(
        "1.2.6", "Requests are not always allowed", argument(API, lacks("AlwaysAllow"), "authorization-mode")
    ),
    Control("1.2.7", "Nodes are authorized as nodes", argument(API, lists("Node"), "authorization-mode")),
    Control("1.2.8", "Roles decide (RBAC)", argument(API, lists("RBAC"), "authorization-mode")),
    Control("1.2.9", "Events are limited", manual("plugin EventRateLimit needs limits of your own")),
    Control(
        "1.2.10",
        "Objects are not always admitted",
        argument(API, lacks("AlwaysAdmit"), "enable-admission-plugins"),
    ),
    Control(
        "1.2.11", "Images are always pulled", manual("plugin AlwaysPullImages stands against image archives")
    ),
    Control(
        "1.2.12",
        "Pods get ServiceAccounts",
        argument(API, lacks("ServiceAccount"), "disable-admission-plugins"),
    ),
    Control(
        "1.2.13",
        "Nothing is made in namespaces that go",
        argument(API, lacks("NamespaceLifecycle"), "disable-admission-plugins"),
    ),
    Control(
        "1.2.14",
        "Kubelets change their own objects only",
        argument(API, lists("NodeRestriction"), "enable-admission-plugins"),
    ),
    Control("1.2.15", "The API server is not profiled", argument(API, equals("false"), "profiling")),
    Control("1.2.16", "There is an audit log", argument(API, is_set, "audit-log-path")),
    Control("1.2.17", "Audit logs are kept for 30 days", argument(API, at_least(30), "audit-log-maxage")),
    Control("1.2.18", "Ten audit logs are kept", argument(API, at_least(10), "audit-log-maxbackup")),
    Control("1.2.19", "An audit log may have 100 MB", argument(API, at_least(100), "audit-log-maxsize")),
    Control("1.2.20", "The limit of a request's time fits", manual("--request-timeout, 60 s unless set")),
    Control(
        "1.2.21",
        "Tokens of ServiceAccounts that are gone are refused",
        argument(API, lambda value: value != "false", "service-account-lookup"),
    ),
    Control(
        "1.2.22",
        "Tokens are checked with a key of their own",
        argument(API, is_set, "service-account-key-file"),
    ),
    Control(
        "1.2.23",
        "The API server shows etcd a certificate",
        argument(API, is_set, "etcd-certfile", "etcd-keyfile"),
    ),
    Control(
        "1.2.24", "The API server serves TLS", argument(API, is_set, "tls-cert-file", "tls-private-key-file")
    ),
    Control("1.2.25", "Client certificates have an authority", argument(API, is_set, "client-ca-file")),
    Control("1.2.26", "The API server checks etcd's certificate", argument(API, is_set, "etcd-cafile")),
    Control("1.2.27", "Secrets are encrypted in etcd", argument(API, is_set, "encryption-provider-config")),
    Control(
        "1.2.28", "The cipher for Secrets is a strong one", manual("`rke2 secrets-encrypt status` names it")
    ),
    Control(
        "1.2.29",
        "The API server's ciphers are strong",
        argument(API, are_all(API_SUITES), "tls-cipher-suites"),
    ),
    Control("1.3.1", "Ended pods are collected", manual("--terminated-pod-gc-threshold, 12500 unless set")),
    Control(
        "1.3.2", "The controller manager is not profiled", argument(MANAGER, equals("false"), "profiling")
    ),
    Control(
        "1.3.3",
        "Controllers have ServiceAccounts of their own",
        argument(MANAGER, equals("true"), "use-service-account-credentials"),
    ),
    Control(
        "1.3.4",
        "Tokens are signed with a key of their own",
        argument(MANAGER, is_set, "service-account-private-key-file"),
    ),
    Control("1.3.5", "Pods get the cluster's authority", argument(MANAGER, is_set, "root-ca-file")),
    Control(
        "1.3.6",
        "Serving certificates of kubelets may be renewed",
        argument(MANAGER, lacks("RotateKubeletServerCertificate=false"), "feature-gates"),
    ),
    Control(
        "1.3.7",
        "The controller manager listens on loopback",
        argument(MANAGER, equals("127.0.0.1", "::1"), "bind-address"),
    ),
    Control("1.4.1", "The scheduler is not profiled", argument(SCHEDULER, equals("false"), "profiling")),
    Control(
        "1.4.2",
        "The scheduler listens on loopback",
        argument(SCHEDULER, equals("127.0.0.1", "::1"), "bind-address"),
    ),
    Control(
        "2.1",
        "etcd serves TLS",
        etcd(is_set, "client-transport-security.cert-file", "client-transport-security.key-file"),
    ),
    Control(
        "2.2",
        "etcd's clients show certificates",
        etcd(equals("true"), "client-transport-security.client-cert-auth"),
    ),
    Control(
        "2.3",
        "etcd signs no certificate for clients itself",
        etcd(lambda v: v != "true", "client-transport-security.auto-tls"),
    ),
    Control(
        "2.4",
        "etcd's peers speak TLS",
        etcd(is_set, "peer-transport-security.cert-file", "peer-transport-security.key-file"),
    ),
    Control(
        "2.5",
        "etcd's peers show certificates",
        etcd(equals("true"), "peer-transport-security.client-cert-auth"),
    ),
    Control(
        "2.6",
        "etcd signs no certificate for peers itself",
        etcd(lambda v: v != "true", "peer-transport-security.auto-tls"),
    ),
    Control(
        "2.7",
        "etcd has an authority of its own",
        etcd(
            lambda value: "/etcd/" in (value or ""),
            "client-transport-security.trusted-ca-file",
            "peer-transport-security.trusted-ca-file",
        ),
    ),
    Control("3.1.1", "Users have no client certificates", manual("who has a copy of rke2.yaml?")),
    Control(
        "3.1.2",
        "Users have no tokens of ServiceAccounts",
        manual("Secrets of type service-account-token"),
    ),
    Control("3.1.3", "Users have no bootstrap tokens", manual("`rke2 token list`")),
    Control("3.2.1", "There is an audit policy", argument(API, is_set, "audit-policy-file")),
    Control(
        "3.2.2",
        "The audit policy records what matters",
        manual("the policy made by the profile records nothing"),
    ),
    Control(
        "4.1.3",
        "kube-proxy's kubeconfig is closed to others",
        modes(0o600, _at(lambda p: p.agent, "kubeproxy.kubeconfig")),
    ),
    Control(
        "4.1.4",
        "kube-proxy's kubeconfig is root's",
        owner("root:root", _at(lambda p: p.agent, "kubeproxy.kubeconfig")),
    ),
    Control(
        "4.1.5",
        "The kubelet's kubeconfig is closed to others",
        modes(0o600, _at(lambda p: p.kubelet_kubeconfig)),
    ),
    Control(
        "4.1.6", "The kubelet's kubeconfig is root's", owner("root:root", _at(lambda p: p.kubelet_kubeconfig))
    ),
    Control("4.1.7", "The authority of clients is closed to others", modes(0o600, _CLIENT_CA)),
    Control("4.1.8", "The authority of clients is root's", owner("root:root", _CLIENT_CA)),
    Control("4.1.9", "The kubelet's configuration is closed to others", modes(0o600, _KUBELET_CONFIG)),
    Control("4.1.10", "The kubelet's configuration is root's", owner("root:root", _KUBELET_CONFIG)),
    Control(
        "4.2.1",
        "The kubelet takes no anonymous requests",
        kubelet(equals("false"), "authentication.anonymous.enabled"),
    ),
    Control(
        "4.2.2",
        "The API server decides what the kubelet does",
        kubelet(equals("Webhook"), "authorization.mode"),
    ),
    Control(
        "4.2.3",
        "The kubelet's clients have an authority",
        kubelet(is_set, "authentication.x509.clientCAFile"),
    ),
    Control(
        "4.2.4",
        "The kubelet has no port without authentication",
        kubelet(lambda v: v in (None, "0"), "readOnlyPort"),
    ),
    Control(
        "4.2.5", "Idle streams end", kubelet(lambda v: v not in ("0", "0s"), "streamingConnectionIdleTimeout")
    ),
    Control(
        "4.2.6",
        "The kubelet keeps its iptables rules",
        kubelet(lambda v: v != "false", "makeIPTablesUtilChains"),
    ),
    Control("4.2.7", "The node is called as its host", manual("node-name, if it is set")),
    Control(
        "4.2.8", "Events of the kubelet are limited as you need it", manual("eventRecordQPS, 50 unless set")
    ),
    Control(
        "4.2.9", "The kubelet serves TLS with a certificate of the cluster", kubelet(is_set, "tlsCertFile")
    ),
    Control(
        "4.2.10",
        "The kubelet's client certificate is renewed",
        manual("rke2 renews it while it runs: docs/certificates.md"),
    ),
    Control(
        "4.2.11",
        "The kubelet's serving certificate may be renewed",
        kubelet(lambda v: v != "false", "featureGates.RotateKubeletServerCertificate"),
    ),
    Control(
        "4.2.12", "The kubelet's ciphers are strong", kubelet(are_all(KUBELET_SUITES), "tlsCipherSuites")
    ),
    Control("4.2.13", "Pods have a limit of processes", kubelet(at_least(1), "podPidsLimit")),
    Control(
        "4.3.1",
        "kube-proxy shows its metrics to this host alone",
        argument(PROXY, is_on_this_host, "metrics-bind-address"),
    ),
    Control("5.1", "Roles give no more than is needed", manual("`kubectl get clusterrolebindings`")),
    Control("5.2", "Pods are restricted", manual("pod security per namespace: docs/cis.md")),
    Control("5.3", "Every namespace has network policies", manual("`kubectl get networkpolicies -A`")),
    Control("5.4", "Secrets are files, not variables", manual("`kubectl get pods -A -o yaml`: secretKeyRef")),
    Control(
        "5.5", "Images come from where they may", manual("plugin ImagePolicyWebhook, or a policy engine")
    ),
    Control("5.7", "Workloads stay out of the namespace default", manual("`kubectl get all -n default`")),
)
