"""A real etcd and kube-apiserver in namespaces of their own.

Nothing in it can be reached from the machine, nor reach it: ports need not be free and nothing leaks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509

from rke2.kube.client import Client
from tests.authorities import own_authority
from tests.binaries import binary
from tests.isolation import Isolated, isolated

ADDRESS = "127.0.0.1"
PORT = 6443
START_TIMEOUT = 60.0


@dataclass(frozen=True)
class ControlPlane:
    """A running API server, reachable only through processes started with `command`."""

    isolated: Isolated
    folder: Path
    _stack: ExitStack = field(repr=False)
    _servers: dict[str, tuple[subprocess.Popen[bytes], tuple[str, ...]]] = field(default_factory=dict)

    @property
    def certificate(self) -> Path:
        """The API server's serving certificate, which is its own CA."""
        return self.folder / "server.crt"

    @property
    def kubeconfig(self) -> Path:
        """Credentials of a cluster administrator."""
        return self.folder / "admin.yaml"

    def command(self, *args: str) -> list[str]:
        """`args` as a process inside the network namespace, which dies with this one."""
        return self.isolated.command(["setpriv", "--pdeathsig", "KILL", *args])

    def start(self, name: str, *args: str) -> subprocess.Popen[bytes]:
        """Start a server; it ends with the control plane and logs to `<folder>/<name>.log`."""
        log = self.folder / f"{name}.log"
        process = self._stack.enter_context(self.isolated.running(*args, log=log))
        self._servers[name] = process, args
        return process

    def start_controller_manager(self, controllers: str) -> subprocess.Popen[bytes]:
        """Start kube-controller-manager with some of its controllers."""
        return self.start(
            "kube-controller-manager",
            str(binary("kube-controller-manager")),
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={controllers}",
            "--leader-elect=false",
            "--secure-port=0",
        )

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a server with a signal."""
        process, _ = self._servers[name]
        process.send_signal(number)
        process.wait(20)

    def restart(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a server and start it again, without waiting until it is ready."""
        self.stop(name, number)
        self.start(name, *self._servers[name][1])

    def etcdctl(self, *args: str) -> str:
        """What etcdctl prints for `args`."""
        done = self.isolated.run(binary("etcdctl"), *args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kubectl(self, *args: str, stdin: str = "") -> str:
        """What kubectl prints for `args`, as cluster administrator."""
        kubectl = [str(binary("kubectl")), f"--kubeconfig={self.kubeconfig}", *args]
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
def control_plane(folder: Path, *flags: str) -> Iterator[ControlPlane]:
    """Start etcd and kube-apiserver, wait until ready, and end both when done.

    Args:
        flags: more of kube-apiserver's.
    """
    with isolated() as namespaces, ExitStack() as stack:
        cluster = ControlPlane(namespaces, folder, stack)
        _write_credentials(folder)
        cluster.start("etcd", *_etcd(folder))
        apiserver = cluster.start("kube-apiserver", *_apiserver(folder), *flags)
        _wait(lambda: _ready(cluster, apiserver), f"kube-apiserver is not ready: {folder}/kube-apiserver.log")
        yield cluster


@contextmanager
def with_controllers(
    folder: Path,
    controllers: str,
    prepare: Callable[[Client], Awaitable[Any]] | None = None,
    seconds: float = 30,
) -> Iterator[ControlPlane]:
    """As `control_plane`, with controllers of kube-controller-manager.

    Args:
        controllers: comma-separated names.
        prepare: done with a client before anything else, within `seconds`.
    """
    with control_plane(folder) as running:
        running.start_controller_manager(controllers)
        if prepare:
            with running.isolated.entered():
                asyncio.run(_prepare(running, prepare, seconds))
        yield running
        running.stop("kube-controller-manager")  # its watches would hold up the end of the API server


async def _prepare(
    cluster: ControlPlane, prepare: Callable[[Client], Awaitable[Any]], seconds: float
) -> None:
    async with Client(cluster.kubeconfig, "test") as client, asyncio.timeout(seconds):
        await prepare(client)


def _etcd(folder: Path) -> Sequence[str]:
    return (
        str(binary("etcd")),
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        "--logger=zap",
    )


def _apiserver(folder: Path) -> Sequence[str]:
    return (
        str(binary("kube-apiserver")),
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
    certificate, key = own_authority(ADDRESS, x509.IPAddress(ipaddress.ip_address(ADDRESS)))
    (folder / "server.crt").write_bytes(certificate)
    (folder / "server.key").write_bytes(key)
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


def _ready(cluster: ControlPlane, apiserver: subprocess.Popen[bytes]) -> bool:
    assert apiserver.poll() is None, f"kube-apiserver ended: {cluster.folder}/kube-apiserver.log"
    try:
        return cluster.kubectl("get", "--raw", "/readyz") == "ok"
    except AssertionError:
        return False


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
