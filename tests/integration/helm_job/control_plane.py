"""A real etcd and kube-apiserver in a network namespace of their own, with only its loopback up.

Nothing in it can be reached from the machine, nor reach it: ports need not be free and nothing leaks.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS = "127.0.0.1"
PORT = 6443
START_TIMEOUT = 60.0
BINARIES = ("etcd", "kube-apiserver", "kubectl", "helm", "helm-job")


def find_binaries() -> Path | None:
    """The folder of the built distribution's binaries, None if it lacks one that is needed here."""
    candidates = [os.environ.get("RKE2_TEST_BIN", ""), "build/dist/bin"]
    folders = [Path(each).absolute() for each in candidates if each]
    return next((each for each in folders if all((each / name).exists() for name in BINARIES)), None)


@dataclass(frozen=True)
class ControlPlane:
    """A running API server, reachable only through processes started with `command`."""

    binaries: Path
    folder: Path
    namespace_pid: int
    _stack: ExitStack = field(repr=False)

    @property
    def certificate(self) -> Path:
        """The API server's serving certificate, which is its own CA."""
        return self.folder / "server.crt"

    def command(self, *args: str) -> list[str]:
        """`args` as a process inside the network namespace, which dies with this one."""
        enter = ["nsenter", f"--net=/proc/{self.namespace_pid}/ns/net"]
        return [*enter, "setpriv", "--pdeathsig", "KILL", *args]

    def start(self, name: str, *args: str) -> subprocess.Popen[bytes]:
        """Start a server; it is killed with the control plane and logs to `<folder>/<name>.log`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(self.command(*args), stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    def kubectl(self, *args: str, stdin: str = "") -> str:
        """What kubectl prints for `args`, as cluster administrator."""
        kubectl = [str(self.binaries / "kubectl"), f"--kubeconfig={self.folder / 'admin.yaml'}", *args]
        done = subprocess.run(
            self.command(*kubectl), input=stdin, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout

    def get(self, *args: str) -> Any:
        """The JSON of ``kubectl get``."""
        return json.loads(self.kubectl("get", "-o", "json", *args))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change `objects`."""
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))


@contextmanager
def control_plane(folder: Path, binaries: Path) -> Iterator[ControlPlane]:
    """Start etcd and kube-apiserver, wait until ready, and kill both at the end."""
    with ExitStack() as stack:
        holder = subprocess.Popen(["unshare", "--net", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"])
        stack.callback(holder.wait)
        stack.callback(holder.kill)
        cluster = ControlPlane(binaries, folder, holder.pid, stack)
        _wait(lambda: _in_new_namespace(holder.pid), "unshare made no network namespace")
        subprocess.run(cluster.command("ip", "link", "set", "lo", "up"), check=True)
        _write_credentials(folder)
        cluster.start("etcd", *_etcd(cluster))
        apiserver = cluster.start("kube-apiserver", *_apiserver(cluster))
        _wait(lambda: _ready(cluster, apiserver), f"kube-apiserver is not ready: {folder}/kube-apiserver.log")
        yield cluster


def _etcd(cluster: ControlPlane) -> Sequence[str]:
    return (
        str(cluster.binaries / "etcd"),
        f"--data-dir={cluster.folder / 'etcd'}",
        "--unsafe-no-fsync",
        "--logger=zap",
    )


def _apiserver(cluster: ControlPlane) -> Sequence[str]:
    folder = cluster.folder
    return (
        str(cluster.binaries / "kube-apiserver"),
        f"--etcd-servers=http://{ADDRESS}:2379",
        f"--bind-address={ADDRESS}",
        f"--secure-port={PORT}",
        "--advertise-address=192.0.2.1",  # no default route here to take one from
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.43.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={folder / 'server.key'}",
        f"--service-account-key-file={folder / 'server.key'}",
    )


def _write_credentials(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ADDRESS)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (folder / "tokens.csv").write_text("admin-token,admin,1,system:masters\n")
    (folder / "admin.yaml").write_text(json.dumps(_kubeconfig(folder / "server.crt")))


def _kubeconfig(ca: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": f"https://{ADDRESS}:{PORT}", "certificate-authority": str(ca)},
            }
        ],
        "users": [{"name": "u", "user": {"token": "admin-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def _in_new_namespace(pid: int) -> bool:
    return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def _ready(cluster: ControlPlane, apiserver: subprocess.Popen[bytes]) -> bool:
    assert apiserver.poll() is None, f"kube-apiserver ended: {cluster.folder}/kube-apiserver.log"
    try:
        return cluster.kubectl("get", "--raw", "/readyz") == "ok"
    except AssertionError:
        return False


def _wait(condition: Any, otherwise: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
