"""The kube-apiserver pod (layout reference §3.4). Its manifest is written once etcd answers."""

from __future__ import annotations

from pathlib import Path

from rke2.config.addresses import advertised, any_address, comma, on_loopback
from rke2.config.model import APISERVER_PORT, NodeConfig
from rke2.config.paths import Paths
from rke2.config.profiles import profile_of
from rke2.staticpods.admission import audit_policy_file, psa_file
from rke2.staticpods.arguments import given_keys, last_value, merge
from rke2.staticpods.etcd_config import CLIENT_PORT
from rke2.staticpods.pod import CA_DIRECTORIES, ExecCheck, StaticPod

NAME = "kube-apiserver"

CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
)
"""As RKE2 spells them: Go knows the last two by a longer name, too."""

FORCED_ITEMS = ("enable-admission-plugins=NodeRestriction",)
"""Counted as items the operator gave first: an own ``enable-admission-plugins`` comes on top."""

STRIPPED = frozenset({"advertise-port", "basic-auth-file"})
"""Flags of k3s that the real kube-apiserver does not have."""

LIVENESS = "/livez?exclude=etcd"
"""RKE2 asks ``/livez``. Then the kubelet kills an API server whose etcd has no majority for 80 s, just when it could
serve again: another process would not find one earlier, and has to build all its caches again."""


def pod(config: NodeConfig, image: str, *, egress: bool = False) -> StaticPod:
    """The pod.

    Args:
        image: full reference.
        egress: reach nodes and pods through the supervisor's tunnel; needs the egress selector configuration file.
    """
    paths, settings = config.paths, config.component(NAME)
    items = (*FORCED_ITEMS, *settings.args)
    audit_log = _audit_log_in_use(config)
    # Counts in FILE_HASH: a restore gives the member another name, and no
    # API server with older caches runs on.
    etcd_files = () if config.component("etcd").disabled else (paths.etcd / "name",)
    return StaticPod(
        name=NAME,
        image=image,
        args=(*_leading(config, items), *_merged(config, items, egress)),
        settings=settings,
        ports={"apiserver": APISERVER_PORT},
        # With etcd, unlike the liveness probe: one that never found its etcd
        # has no caches to lose (ADR 0014).
        startup=_kubectl_check(paths.tls, "/livez"),
        liveness=_kubectl_check(paths.tls, LIVENESS),
        readiness=_kubectl_check(paths.tls, "/readyz"),
        optional_dirs=CA_DIRECTORIES,
        # The whole server directory: certificates and keys that are renewed replace their files.
        dirs=(*((audit_log.parent,) if audit_log else ()), paths.server),
        files=etcd_files,
        # Both change while it runs: mounted as files they could not be replaced,
        # and would count in FILE_HASH.
        excluded_files=frozenset({*((audit_log,) if audit_log else ()), _encryption_config(paths)}),
        selinux_type="rke2_service_t" if config.node.selinux else "",
        implied=_implied(config),
    )


def _implied(config: NodeConfig) -> frozenset[str]:
    """The address that kube-apiserver finds by itself, where nobody has set one.

    RKE2 leaves it out then. It looks for the address of the default route, and ends on a host without one.
    """
    chosen = config.network.advertise_address or config.node.external_ips or not config.node.detected_ips
    return frozenset() if chosen else frozenset({f"--advertise-address={advertised(config)}"})


def _audit_log_in_use(config: NodeConfig) -> Path | None:
    """The file that is audited to; None if nothing is, or to standard output (``-``)."""
    given = last_value(config.component(NAME).args, "audit-log-path")
    if not given and audit_policy_file(config) is None:
        return None
    path = Path(given) if given else _audit_log(config.paths)
    return path if path.is_absolute() else None


def _audit_log(paths: Paths) -> Path:
    return paths.server_logs / "audit.log"


def _encryption_config(paths: Paths) -> Path:
    return paths.cred / "encryption-config.json"


def _leading(config: NodeConfig, items: tuple[str, ...]) -> list[str]:
    """RKE2's own flags, which stand before the sorted ones (a flag given again later wins)."""
    args = [f"--admission-control-config-file={psa_file(config)}"]
    given = given_keys(items)
    if audit_policy := audit_policy_file(config):
        args += [f"--audit-policy-file={audit_policy}", *_AUDIT_ROTATION]
        if "audit-log-path" not in given:
            args.append(f"--audit-log-path={_audit_log(config.paths)}")
    if profile_of(config.profile).short_tokens:
        args.append("--service-account-extend-token-expiration=false")
    if "kubelet-preferred-address-types" not in given:
        args.append("--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname")
    return args


_AUDIT_ROTATION = ("--audit-log-maxage=30", "--audit-log-maxbackup=10", "--audit-log-maxsize=100")


def _merged(config: NodeConfig, items: tuple[str, ...], egress: bool) -> list[str]:
    merged = merge(defaults(config, given_keys(items), egress=egress), items)
    return [arg for arg in merged if arg.removeprefix("--").partition("=")[0] not in STRIPPED]


def defaults(
    config: NodeConfig, given: frozenset[str] = frozenset(), *, egress: bool = False
) -> dict[str, str]:
    """The flags the node sets itself.

    Args:
        given: flags the operator sets; some of them make one of ours impossible.
    """
    network, paths = config.network, config.paths
    tls, etcd_tls = paths.tls, paths.tls / "etcd"
    issuer = f"https://kubernetes.default.svc.{network.cluster_domain}"
    args = {
        "advertise-address": str(advertised(config)),
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "api-audiences": f"{issuer},rke2",
        "authorization-mode": "Node,RBAC",
        "bind-address": any_address(config),
        "cert-dir": str(tls / "temporary-certs"),
        "client-ca-file": str(tls / "client-ca.crt"),
        "enable-bootstrap-token-auth": "true",
        "encryption-provider-config": str(_encryption_config(paths)),
        # Keys of Secrets are exchanged while it runs; it looks at the file once a minute (ADR 0058).
        "encryption-provider-config-automatic-reload": "true",
        "etcd-cafile": str(etcd_tls / "server-ca.crt"),
        "etcd-certfile": str(etcd_tls / "client.crt"),
        "etcd-keyfile": str(etcd_tls / "client.key"),
        # On loopback also without a member: there the load balancer for etcd
        # members listens on the same port.
        "etcd-servers": f"https://{on_loopback(config, CLIENT_PORT)}",
        "kubelet-certificate-authority": str(tls / "server-ca.crt"),
        "kubelet-client-certificate": str(tls / "client-kube-apiserver.crt"),
        "kubelet-client-key": str(tls / "client-kube-apiserver.key"),
        "profiling": "false",
        "proxy-client-cert-file": str(tls / "client-auth-proxy.crt"),
        "proxy-client-key-file": str(tls / "client-auth-proxy.key"),
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-client-ca-file": str(tls / "request-header-ca.crt"),
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(APISERVER_PORT),
        "service-account-issuer": issuer,
        # All keys verify, the current one alone signs: tokens from before a rotation stay valid.
        "service-account-key-file": str(tls / "service.key"),
        "service-account-signing-key-file": str(tls / "service.current.key"),
        "service-cluster-ip-range": comma(network.service_cidrs),
        "service-node-port-range": network.node_port_range,
        "storage-backend": "etcd3",
        "tls-cert-file": str(tls / "serving-kube-apiserver.crt"),
        "tls-cipher-suites": ",".join(CIPHER_SUITES),
        "tls-private-key-file": str(tls / "serving-kube-apiserver.key"),
    }
    if egress:
        args["egress-selector-config-file"] = str(paths.server_etc / "egress-selector-config.yaml")
        # Aggregated APIs by the addresses of their pods: the tunnel has routes for those, not for Services.
        args["enable-aggregator-routing"] = "true"
    return {key: value for key, value in args.items() if _REPLACED_BY.get(key) not in given}


_REPLACED_BY = {
    "anonymous-auth": "authentication-config",
    "authorization-mode": "authorization-config",
}
"""A flag of ours -> the operator's flag that excludes it."""


def _kubectl_check(tls: Path, path: str) -> ExecCheck:
    """The image has kubectl: the endpoints answer only to a client with a certificate."""
    return ExecCheck(
        (
            "kubectl",
            "get",
            f"--server=https://localhost:{APISERVER_PORT}/",
            f"--client-certificate={tls / 'client-kube-apiserver.crt'}",
            f"--client-key={tls / 'client-kube-apiserver.key'}",
            f"--certificate-authority={tls / 'server-ca.crt'}",
            f"--raw={path}",
        )
    )
