"""Real programs see a certificate that was renewed in place, through a file that was mounted before, as into a pod."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.pki.pem import read_certificates
from rke2.pki.server_pki import renew_server_leaves
from tests.binaries import binary
from tests.isolation import Isolated, isolated
from tests.prepared import prepared_server

LIMIT = 60.0
"""Seconds for what takes a tenth of one on a free machine."""

_SERVED = """
import ssl, sys
print(ssl.get_server_certificate(("127.0.0.1", int(sys.argv[1])), timeout=5))
"""
_MOUNT = """set -e
for file in "$@"; do touch "$0/$(basename "$file").$(basename "$(dirname "$file")")"
mount --bind "$file" "$0/$(basename "$file").$(basename "$(dirname "$file")")"; done"""


class Programs:
    """etcd and kube-apiserver, each file of theirs a mount of its own."""

    def __init__(self, config: NodeConfig, namespaces: Isolated, mounts: Path) -> None:
        self.config, self.namespaces, self._mounts = config, namespaces, mounts

    def mounted(self, path: Path) -> str:
        """Where the programs see a file."""
        target = self._mounts / f"{path.name}.{path.parent.name}"
        if not target.exists():
            done = self.namespaces.run("sh", "-c", _MOUNT, self._mounts, path)
            assert done.returncode == 0, done.stderr
        return str(target)

    def served(self, port: int) -> int:
        """The serial number of the certificate that a new connection sees; 0 without an answer."""
        done = self.namespaces.run(sys.executable, "-c", _SERVED, str(port))
        return (
            x509.load_pem_x509_certificate(done.stdout.encode()).serial_number if done.returncode == 0 else 0
        )

    def readyz(self) -> str:
        """What the API server tells the administrator, who shows the certificate of this moment."""
        tls = self.config.paths.tls
        credentials = [f"--client-certificate={tls}/client-admin.crt", f"--client-key={tls}/client-admin.key"]
        where = ["--server=https://127.0.0.1:6443", f"--certificate-authority={tls}/server-ca.crt"]
        done = self.namespaces.run(binary("kubectl"), *where, *credentials, "get", "--raw", "/readyz")
        return done.stdout or done.stderr

    def etcd(self) -> list[str]:
        tls = self.config.paths.tls / "etcd"
        return [
            str(binary("etcd")),
            f"--data-dir={self._mounts.parent / 'etcd'}",
            "--unsafe-no-fsync",
            "--listen-client-urls=https://127.0.0.1:2379",
            "--advertise-client-urls=https://127.0.0.1:2379",
            "--client-cert-auth",
            f"--trusted-ca-file={self.mounted(tls / 'server-ca.crt')}",
            f"--cert-file={self.mounted(tls / 'server-client.crt')}",
            f"--key-file={self.mounted(tls / 'server-client.key')}",
        ]

    def apiserver(self) -> list[str]:
        tls = self.config.paths.tls
        files = {
            "client-ca-file": "client-ca.crt",
            "etcd-cafile": "etcd/server-ca.crt",
            "etcd-certfile": "etcd/client.crt",
            "etcd-keyfile": "etcd/client.key",
            "service-account-key-file": "service.key",
            "service-account-signing-key-file": "service.current.key",
            "tls-cert-file": "serving-kube-apiserver.crt",
            "tls-private-key-file": "serving-kube-apiserver.key",
        }
        return [
            str(binary("kube-apiserver")),
            "--etcd-servers=https://127.0.0.1:2379",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.43.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--{flag}={self.mounted(tls / name)}" for flag, name in files.items()),
        ]


@contextmanager
def running(config: NodeConfig, folder: Path) -> Iterator[Programs]:
    mounts = folder / "mounts"
    mounts.mkdir()
    with isolated() as namespaces, ExitStack() as stack:
        programs = Programs(config, namespaces, mounts)
        for name, argv in (("etcd", programs.etcd()), ("kube-apiserver", programs.apiserver())):
            stack.enter_context(namespaces.running(*argv, log=folder / f"{name}.log"))
        until(lambda: programs.readyz() == "ok", f"kube-apiserver is not ready: {folder}/kube-apiserver.log")
        yield programs


def until(condition: object, otherwise: str, limit: float = 2 * LIMIT) -> float:
    started = time.monotonic()
    assert callable(condition)
    while not condition():
        assert time.monotonic() < started + limit, otherwise
        time.sleep(0.1)
    return time.monotonic() - started


def serial(path: Path) -> int:
    found = read_certificates(path)
    assert found
    return found.first.serial_number


@pytest.fixture
async def config(tmp_path: Path) -> NodeConfig:
    return await prepared_server(tmp_path)


async def test_three_generations_are_served_without_a_restart(config: NodeConfig, tmp_path: Path) -> None:
    tls = config.paths.tls
    leaves = {6443: tls / "serving-kube-apiserver.crt", 2379: tls / "etcd/server-client.crt"}
    with running(config, tmp_path) as programs:
        for _ in range(3):
            for port, path in leaves.items():
                until(lambda: programs.served(port) == serial(path), f"port {port} serves another", LIMIT)  # noqa: B023
            assert programs.readyz() == "ok"
            before = {path: serial(path) for path in leaves.values()}
            assert len(renew_server_leaves(config, timedelta(days=3650)).renewed) > 10
            assert all(serial(path) != number for path, number in before.items())
        # etcd's client, too: what connects from now on shows the new certificate and is let in.
        assert programs.readyz() == "ok"
