"""What we write is what the real programs read: etcd, etcdctl, kubectl."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rke2.config.model import NodeConfig
from rke2.pki.kubeconfigs import ensure_admin_kubeconfig, ensure_agent_kubeconfigs
from rke2.pki.server_pki import ensure_server_pki
from tests.authorities import place_under_root
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.contract.supervisor.harness import supervisor


def configured(root: Path) -> NodeConfig:
    return server_config(paths_under(root), network={"bind_address": "127.0.0.1"})


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [binary(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


# --- etcd ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Etcd:
    """A single member on loopback with the certificates in `tls`."""

    tls: Path
    client: str

    def health(self, *credentials: str | Path) -> subprocess.CompletedProcess[str]:
        where = ("--endpoints", self.client, "--cacert", self.tls / "server-ca.crt")
        return run("etcdctl", *where, *credentials, "--command-timeout", "1s", "endpoint", "health")

    def client_pair(self, stem: Path) -> tuple[str | Path, ...]:
        return ("--cert", f"{stem}.crt", "--key", f"{stem}.key")


@pytest.fixture(params=["own CA", "CA below another root"])
def etcd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Etcd]:
    config = configured(tmp_path)
    tls = config.paths.tls / "etcd"
    if request.param != "own CA":
        place_under_root(tls / "server-ca")
    ensure_server_pki(config)
    client, peer = (f"https://127.0.0.1:{port}" for port in free_ports(2))
    with subprocess.Popen(etcd_command(tls, tmp_path, client, peer), stderr=subprocess.DEVNULL) as process:
        try:
            found = Etcd(tls, client)
            wait_for(found)
            yield found
        finally:
            process.terminate()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def etcd_command(tls: Path, data: Path, client: str, peer: str) -> list[str | Path]:
    def transport(prefix: str, stem: str, ca: str) -> list[str]:
        files = {"cert-file": f"{stem}.crt", "key-file": f"{stem}.key", "trusted-ca-file": ca}
        return [
            f"--{prefix}client-cert-auth",
            *(f"--{prefix}{key}={tls / name}" for key, name in files.items()),
        ]

    return [
        binary("etcd"),
        f"--data-dir={data / 'etcd'}",
        "--name=m",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=m={peer}",
        *transport("", "server-client", "server-ca.crt"),
        *transport("peer-", "peer-server-client", "peer-ca.crt"),
    ]


def wait_for(etcd: Etcd) -> None:
    deadline = time.monotonic() + 30
    while (last := etcd.health(*etcd.client_pair(etcd.tls / "client"))).returncode:
        assert time.monotonic() < deadline, last.stderr


def test_etcd_admits_its_own_clients_only(etcd: Etcd) -> None:
    assert etcd.health(*etcd.client_pair(etcd.tls / "client")).returncode == 0
    assert etcd.health(*etcd.client_pair(etcd.tls / "server-client")).returncode == 0
    assert etcd.health(*etcd.client_pair(etcd.tls.parent / "client-admin")).returncode != 0
    assert etcd.health().returncode != 0


# --- kubectl ---------------------------------------------------------------------------------------


def test_kubectl_reads_the_kubeconfigs_and_talks_to_the_supervisor(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        running.become_ready()
        url = f"https://127.0.0.1:{running.port}"
        ensure_agent_kubeconfigs(running.config, {"kubelet.kubeconfig": url})
        admin = ensure_admin_kubeconfig(running.config)
        kubelet = running.config.paths.agent / "kubelet.kubeconfig"

        def get(kubeconfig: Path, path: str) -> subprocess.CompletedProcess[str]:
            return run("kubectl", "--kubeconfig", kubeconfig, "--server", url, "get", "--raw", path)

        assert get(admin, "/ping").stdout == "pong"
        assert get(kubelet, "/v1-rke2/readyz").stdout == "ok"
        assert "forbidden" in get(admin, "/v1-rke2/readyz").stderr
