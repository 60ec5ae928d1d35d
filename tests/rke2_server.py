"""The files of a server of RKE2 v1.36.4, made from docs/reference: what `rke2 migrate --check` and a take-over find.

Nothing of this program makes them, so that a mistake of it is not repeated here. Manifests and etcd's configuration
are RKE2's text: sigs.k8s.io/yaml sorts the keys, and leaves out what has its zero value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

VERSION = "v1.36.4+rke2r1"
MEMBER = "node1-0a1b2c3d"
KUBERNETES = "index.docker.io/rancher/hardened-kubernetes:v1.36.4-rke2r1-build20260821"
ETCD = "index.docker.io/rancher/hardened-etcd:v3.6.14-k3s1-build20260819"
CLOUD = "index.docker.io/rancher/rke2-cloud-provider:v1.35.1-0.20260817230842-2a1e2e8cf41b-build20260820"
NO_PROXY = ".svc,.cluster.local,10.42.0.0/16,10.43.0.0/16"
SUITES = ",".join(
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for cipher in ("AES_256_GCM_SHA384", "AES_128_GCM_SHA256", "CHACHA20_POLY1305")
    for key in ("ECDSA", "RSA")
)

SSL_DIRS = [
    Path(path)
    for path in (
        "/etc/ssl/certs",
        "/etc/pki/tls/certs",
        "/etc/ca-certificates",
        "/usr/local/share/ca-certificates",
        "/usr/share/ca-certificates",
    )
    if Path(path).is_dir()
]


@dataclass
class RKE2Server:
    """A server with every default named ``node1`` at 192.0.2.1, below `root`."""

    root: Path
    address: str = "192.0.2.1"
    version: str = VERSION
    config: Mapping[str, Any] = field(default_factory=dict)
    charts: tuple[str, ...] = ("rke2-canal", "rke2-coredns", "rke2-metrics-server", "rke2-runtimeclasses")

    @property
    def data(self) -> Path:
        return self.root / "var/lib/rancher/rke2"

    @property
    def server(self) -> Path:
        return self.data / "server"

    @property
    def tls(self) -> Path:
        return self.server / "tls"

    @property
    def pss(self) -> Path:
        return self.root / "etc/rancher/rke2/rke2-pss.yaml"

    def manifest(self, name: str) -> Path:
        return self.data / "agent/pod-manifests" / f"{name}.yaml"

    def make(self) -> RKE2Server:
        """Write everything that does not exist; certificates and keys are those the caller has made, or names."""
        put(self.server / "db/etcd/name", MEMBER)
        put(self.server / "db/etcd/config", text_of(self.etcd_config()))
        (self.server / "db/etcd/member/wal").mkdir(parents=True, exist_ok=True)
        tag = self.version.replace("+", "-")
        for kind in ("bin", "charts"):
            (self.data / f"data/{tag}-0123456789ab/{kind}").mkdir(parents=True, exist_ok=True)
        if not (self.data / "bin").is_symlink():
            (self.data / "bin").symlink_to(self.data / f"data/{tag}-0123456789ab/bin")
        put(self.root / "etc/rancher/rke2/config.yaml", text_of(dict(self.config)) if self.config else "")
        put(self.server / "token", f"K10{'0' * 64}::server:0123456789abcdef\n")
        for name in self.charts:
            put(self.server / f"manifests/{name}.yaml", chart(name))
        for name, pod in self.pods().items():
            put(self.manifest(name), text_of(pod))
        put(self.manifest("cloud-controller-manager"), text_of(self._cloud_controller()))
        return self

    # --- etcd ----------------------------------------------------------------------------------------
    def etcd_config(self) -> dict[str, Any]:
        etcd, peer = self.tls / "etcd", f"https://{self.address}:2380"
        trust = {
            role: {
                "cert-file": str(etcd / f"{certificate}.crt"),
                "client-cert-auth": True,
                "key-file": str(etcd / f"{certificate}.key"),
                "trusted-ca-file": str(etcd / f"{ca}.crt"),
            }
            for role, certificate, ca in (
                ("client", "server-client", "server-ca"),
                ("peer", "peer-server-client", "peer-ca"),
            )
        }
        return {
            **self.initial(),
            "advertise-client-urls": f"https://{self.address}:2379",
            "bootstrap-defrag-threshold-megabytes": 100,
            "client-transport-security": trust["client"],
            "data-dir": str(self.server / "db/etcd"),
            "election-timeout": 5000,
            "experimental-initial-corrupt-check": True,
            "experimental-watch-progress-notify-interval": 5000000000,
            "heartbeat-interval": 500,
            "listen-client-http-urls": "https://127.0.0.1:2382",
            "listen-client-urls": f"https://127.0.0.1:2379,https://{self.address}:2379",
            "listen-metrics-urls": "http://127.0.0.1:2381",
            "listen-peer-urls": f"https://127.0.0.1:2380,{peer}",
            "log-outputs": ["stderr"],
            "logger": "zap",
            "name": MEMBER,
            "peer-transport-security": trust["peer"],
            "snapshot-count": 10000,
            "socket-options": {"reuse-address": True, "reuse-port": True},
        }

    def initial(self) -> dict[str, str]:
        peer = f"https://{self.address}:2380"
        return {
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"{MEMBER}={peer}",
            "initial-cluster-state": "new",
        }

    # --- static pods -----------------------------------------------------------------------------------
    def pods(self) -> dict[str, dict[str, Any]]:
        """Name -> Pod, with what is mounted as it is now."""
        described = (self._etcd(), self._apiserver(), self._manager(), self._scheduler(), self._proxy())
        return {pod["metadata"]["name"]: pod for pod in described}

    def _etcd(self) -> dict[str, Any]:
        tls = self.tls / "etcd"
        names = ("server-client.crt", "server-client.key", "server-ca.crt")
        files = [
            tls / name for name in (*names, "peer-server-client.crt", "peer-server-client.key", "peer-ca.crt")
        ]
        config = self.server / "db/etcd/config"
        check = http(2381, "/health?serializable=true", "HTTP")
        pod = self._pod(
            "etcd",
            ETCD,
            [f"--config-file={config}"],
            files=[*files, config],
            dirs=[self.server / "db/etcd"],
            ports={"client": 2379, "peer": 2380, "metrics": 2381},
            requests=("200m", "512Mi"),
            probes={"livenessProbe": check},
        )
        pod["metadata"]["annotations"] = {
            "etcd.k3s.io/initial": json.dumps(self.initial(), separators=(",", ":"))
        }
        return pod

    def _apiserver(self) -> dict[str, Any]:
        tls, etcd = self.tls, self.tls / "etcd"
        issuer = "https://kubernetes.default.svc.cluster.local"
        args = {
            "allow-privileged": "true",
            "anonymous-auth": "false",
            "api-audiences": f"{issuer},rke2",
            "authorization-mode": "Node,RBAC",
            "bind-address": "0.0.0.0",
            "cert-dir": f"{tls}/temporary-certs",
            "client-ca-file": f"{tls}/client-ca.crt",
            "egress-selector-config-file": f"{self.server}/etc/egress-selector-config.yaml",
            "enable-admission-plugins": "NodeRestriction",
            "enable-aggregator-routing": "true",
            "enable-bootstrap-token-auth": "true",
            "encryption-provider-config": f"{self.server}/cred/encryption-config.json",
            "encryption-provider-config-automatic-reload": "true",
            "etcd-cafile": f"{etcd}/server-ca.crt",
            "etcd-certfile": f"{etcd}/client.crt",
            "etcd-keyfile": f"{etcd}/client.key",
            "etcd-servers": "https://127.0.0.1:2379",
            "kubelet-certificate-authority": f"{tls}/server-ca.crt",
            "kubelet-client-certificate": f"{tls}/client-kube-apiserver.crt",
            "kubelet-client-key": f"{tls}/client-kube-apiserver.key",
            "profiling": "false",
            "proxy-client-cert-file": f"{tls}/client-auth-proxy.crt",
            "proxy-client-key-file": f"{tls}/client-auth-proxy.key",
            "requestheader-allowed-names": "system:auth-proxy",
            "requestheader-client-ca-file": f"{tls}/request-header-ca.crt",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
            "secure-port": "6443",
            "service-account-issuer": issuer,
            "service-account-key-file": f"{tls}/service.key",
            "service-account-signing-key-file": f"{tls}/service.current.key",
            "service-cluster-ip-range": "10.43.0.0/16",
            "service-node-port-range": "30000-32767",
            "storage-backend": "etcd3",
            "tls-cert-file": f"{tls}/serving-kube-apiserver.crt",
            "tls-cipher-suites": SUITES,
            "tls-private-key-file": f"{tls}/serving-kube-apiserver.key",
        }
        leading = [
            f"--admission-control-config-file={self.pss}",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        ]
        ask = [
            "kubectl",
            "get",
            "--server=https://localhost:6443/",
            f"--client-certificate={tls}/client-kube-apiserver.crt",
            f"--client-key={tls}/client-kube-apiserver.key",
            f"--certificate-authority={tls}/server-ca.crt",
        ]
        return self._pod(
            "kube-apiserver",
            KUBERNETES,
            [*leading, *flags(args)],
            files=[self.server / "db/etcd/name"],
            dirs=[*SSL_DIRS, self.server],
            excluded={self.server / "cred/encryption-config.json"},
            ports={"apiserver": 6443},
            requests=("250m", "1Gi"),
            probes={
                "livenessProbe": {"exec": {"command": [*ask, "--raw=/livez"]}},
                "readinessProbe": {"exec": {"command": [*ask, "--raw=/readyz"]}},
                "startupProbe": {"exec": {"command": [*ask, "--raw=/livez"]}},
            },
        )

    def _manager(self) -> dict[str, Any]:
        tls, kubeconfig = self.tls, f"{self.server}/cred/controller.kubeconfig"
        name = "kube-controller-manager"
        signing = {
            f"cluster-signing-{signer}-{kind}-file": f"{tls}/{ca}{end}"
            for signer, ca in (
                ("kube-apiserver-client", "client-ca"),
                ("kubelet-client", "client-ca"),
                ("kubelet-serving", "server-ca"),
                ("legacy-unknown", "server-ca"),
            )
            for kind, end in (("cert", ".nochain.crt"), ("key", ".key"))
        }
        args = {
            **signing,
            "allocate-node-cidrs": "true",
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": "127.0.0.1",
            "cluster-cidr": "10.42.0.0/16",
            "configure-cloud-routes": "false",
            "controllers": "*,tokencleaner,-service,-route,-cloud-node-lifecycle",
            "kubeconfig": kubeconfig,
            "profiling": "false",
            "root-ca-file": f"{tls}/server-ca.crt",
            "secure-port": "10257",
            "service-account-private-key-file": f"{tls}/service.current.key",
            "service-cluster-ip-range": "10.43.0.0/16",
            "tls-cert-file": f"{tls}/{name}/{name}.crt",
            "tls-private-key-file": f"{tls}/{name}/{name}.key",
            "use-service-account-credentials": "true",
        }
        leading = [
            "--permit-port-sharing=true",
            f"--flex-volume-plugin-dir={self.root}/var/lib/kubelet/volumeplugins",
            "--terminated-pod-gc-threshold=1000",
        ]
        check = http(10257, "/healthz")
        return self._pod(
            name,
            KUBERNETES,
            [*leading, *flags(args)],
            files=[self.server / "db/etcd/name"],
            dirs=SSL_DIRS,
            ports={"metrics": 10257},
            requests=("200m", "256Mi"),
            probes={"livenessProbe": check, "startupProbe": check},
        )

    def _scheduler(self) -> dict[str, Any]:
        kubeconfig, name = f"{self.server}/cred/scheduler.kubeconfig", "kube-scheduler"
        args = {
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": "127.0.0.1",
            "kubeconfig": kubeconfig,
            "profiling": "false",
            "secure-port": "10259",
            "tls-cert-file": f"{self.tls}/{name}/{name}.crt",
            "tls-private-key-file": f"{self.tls}/{name}/{name}.key",
        }
        return self._pod(
            name,
            KUBERNETES,
            ["--permit-port-sharing=true", *flags(args)],
            files=[self.server / "db/etcd/name"],
            ports={"metrics": 10259},
            requests=("100m", "128Mi"),
            probes={
                "livenessProbe": http(10259),
                "readinessProbe": http(10259, "/readyz"),
                "startupProbe": http(10259),
            },
        )

    def _proxy(self) -> dict[str, Any]:
        args = {
            "cluster-cidr": "10.42.0.0/16",
            "conntrack-max-per-core": "0",
            "conntrack-tcp-timeout-close-wait": "0s",
            "conntrack-tcp-timeout-established": "0s",
            "healthz-bind-address": "127.0.0.1",
            "hostname-override": "node1",
            "kubeconfig": f"{self.data}/agent/kubeproxy.kubeconfig",
            "proxy-mode": "iptables",
        }
        return self._pod(
            "kube-proxy",
            KUBERNETES,
            flags(args),
            ports={"metrics": 10256},
            requests=("250m", "128Mi"),
            probes={"livenessProbe": http(10256, scheme="HTTP")},
            privileged=True,
        )

    def _cloud_controller(self) -> dict[str, Any]:
        args = {"bind-address": "127.0.0.1", "cloud-provider": "rke2", "controllers": "*,-route,-service"}
        check = http(10258, "/healthz")
        return self._pod(
            "cloud-controller-manager",
            CLOUD,
            flags(args),
            ports={"metrics": 10258},
            requests=("100m", "128Mi"),
            probes={"livenessProbe": check, "startupProbe": check},
        )

    def _pod(
        self,
        name: str,
        image: str,
        args: list[str],
        *,
        ports: Mapping[str, int],
        requests: tuple[str, str],
        probes: Mapping[str, Any],
        files: Sequence[Path] = (),
        dirs: Sequence[Path] = (),
        excluded: frozenset[Path] | set[Path] = frozenset(),
        privileged: bool = False,
    ) -> dict[str, Any]:
        named = sorted(named_files(args) - set(excluded))
        mounted = list(dict.fromkeys([*files, *named]))
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in mounted)).hexdigest()
        volumes = [
            *((f"dir{i}", path, "DirectoryOrCreate") for i, path in enumerate(dirs)),
            *((f"file{i}", path, "File") for i, path in enumerate(mounted)),
        ]
        container: dict[str, Any] = {
            "args": args,
            "command": [name],
            "env": [{"name": "FILE_HASH", "value": digest}, {"name": "NO_PROXY", "value": NO_PROXY}],
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "name": name,
            "ports": [
                {"containerPort": port, "name": port_name, "protocol": "TCP"}
                for port_name, port in ports.items()
            ],
            "resources": {"requests": {"cpu": requests[0], "memory": requests[1]}},
            "securityContext": {"privileged": privileged},
            **{kind: {**check, **numbers(kind, check)} for kind, check in probes.items()},
        }
        spec: dict[str, Any] = {
            "containers": [container],
            "hostNetwork": True,
            "priorityClassName": "system-cluster-critical",
        }
        if volumes:
            container["volumeMounts"] = [
                {"mountPath": str(path), "name": volume, **({"readOnly": True} if kind == "File" else {})}
                for volume, path, kind in volumes
            ]
            spec["volumes"] = [
                {"hostPath": {"path": str(path), "type": kind}, "name": volume}
                for volume, path, kind in volumes
            ]
        uid = hashlib.md5(json.dumps([args, digest]).encode()).hexdigest()
        labels = {"component": name, "tier": "control-plane"}
        metadata = {"labels": labels, "name": name, "namespace": "kube-system", "uid": uid}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}}


NUMBERS = {
    "livenessProbe": {
        "failureThreshold": 8,
        "initialDelaySeconds": 10,
        "periodSeconds": 10,
        "timeoutSeconds": 15,
    },
    "readinessProbe": {"failureThreshold": 3, "periodSeconds": 1, "timeoutSeconds": 15},
    "startupProbe": {
        "failureThreshold": 24,
        "initialDelaySeconds": 10,
        "periodSeconds": 10,
        "timeoutSeconds": 15,
    },
}


def numbers(kind: str, check: Mapping[str, Any]) -> dict[str, int]:
    """A program in the container is run every five seconds at most."""
    found = dict(NUMBERS[kind])
    return {**found, "periodSeconds": max(found["periodSeconds"], 5)} if "exec" in check else found


def http(port: int, path: str = "/livez", scheme: str = "HTTPS") -> dict[str, Any]:
    return {"httpGet": {"host": "localhost", "path": path, "port": port, "scheme": scheme}}


def flags(args: Mapping[str, str]) -> list[str]:
    return [f"--{key}={value}" for key, value in sorted(args.items())]


def named_files(args: Sequence[str]) -> set[Path]:
    """Files that arguments name, and those that ``--kubeconfig`` refers to."""
    found: set[Path] = set()
    for flag, _, value in (arg.partition("=") for arg in args):
        path = Path(value)
        if not value.startswith("/") or not path.is_file():
            continue
        found.add(path)
        if flag == "--kubeconfig":
            content = yaml.safe_load(path.read_text())
            found.add(Path(content["clusters"][0]["cluster"]["certificate-authority"]))
            user = content["users"][0]["user"]
            found |= {Path(user["client-certificate"]), Path(user["client-key"])}
    return found


def chart(name: str) -> str:
    """A packaged chart's manifest, without its content."""
    metadata = {
        "annotations": {"rke2.cattle.io/inject-cluster-config": "true"},
        "name": name,
        "namespace": "kube-system",
    }
    spec = {"bootstrap": False, "chartContent": "", "failurePolicy": "retry"}
    return text_of(
        {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": metadata, "spec": spec}
    )


def put(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def text_of(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=True, width=10**6)
