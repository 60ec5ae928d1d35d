"""``cni: none``: the node says that it has no network, and a plugin of the user's own gives it one. kube-proxy works in
its mode nftables there.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.binaries import CONTENT
from tests.cluster.cni.test_change import starts_with
from tests.cluster.eventually import eventually
from tests.cluster.http import fetch, get
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import place_server
from tests.cluster.objects import PORT, pod, service, web

CONFIG = "cni: none\nkube-proxy-arg: [proxy-mode=nftables]\n"
BRIDGE = {
    "cniVersion": "1.0.0",
    "name": "mine",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.42.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
PLUGINS = CONTENT / "bin"


@pytest.fixture(scope="module")
def server(lab: Lab, workload_archive: Path) -> Iterator[LabNode]:
    """A server without a network, booted as far as it comes."""
    node = place_server(lab, "without-network", workload_archive, CONFIG)
    node.start()
    yield node
    lab.remove_host(node.host.name)


def test_status_says_that_the_network_is_missing(server: LabNode) -> None:
    line = (
        "without-network to be Ready: it has no network. With cni: none that is yours: install a CNI plugin"
    )
    eventually(
        lambda: server.rke2("status", timeout=60).stdout, "status says so", 180, ok=lambda text: line in text
    )
    assert server.rke2("status", timeout=60).returncode != 0
    staged = {path.name for path in server.host.path("/var/lib/rancher/rke2/server/manifests").glob("*.yaml")}
    assert staged
    assert not staged & {"rke2-canal.yaml", "rke2-calico.yaml", "rke2-calico-crd.yaml", "rke2-cilium.yaml"}


def test_a_plugin_of_the_users_own_makes_the_node_ready(server: LabNode) -> None:
    for name in ("bridge", "host-local", "portmap", "loopback"):
        target = server.host.path("/opt/cni/bin") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((PLUGINS / name).read_bytes())
        target.chmod(0o755)
    server.host.write_file("/etc/cni/net.d/10-mine.conflist", json.dumps(BRIDGE))
    ready = server.rke2("status", "--wait", "--timeout", "120", timeout=180)
    assert ready.returncode == 0, ready.stdout


def test_services_work_in_the_mode_nftables(server: LabNode) -> None:
    namespace = Namespace.create(server, f"nftables-{os.getpid()}")
    namespace.apply(web("web"), pod("client"), service("web", "web"), service("port", "web", type="NodePort"))
    namespace.until("condition=Ready", "pod/web", "pod/client")
    address = namespace.find("service", "web")["spec"]["clusterIP"]
    for url in (address, "web", f"{namespace.find('pod', 'web')['status']['podIP']}:{PORT}"):
        eventually(lambda url=url: fetch(namespace, "client", url), f"{url} answers", 30, ok="web".__eq__)  # type: ignore[misc]
    port = namespace.find("service", "port")["spec"]["ports"][0]["nodePort"]
    ask = ["busybox", *get(f"{server.host.address}:{port}")]
    eventually(lambda: server.host.exec(ask).stdout.strip(), "the node's port answers", 30, ok="web".__eq__)
    assert "KUBE-SERVICES" not in server.host.exec(["iptables-save", "-t", "nat"]).stdout, (
        "iptables makes them, too"
    )


def test_another_choice_is_refused_now(server: LabNode) -> None:
    server.signal(signal.SIGTERM)
    eventually(lambda: server.process, "rke2 has ended", 20, ok=lambda process: process is None)
    starts_with(
        server,
        "cni: canal\n",
        "cni is canal, but this cluster was created with none",
        "hint: set cni to none",
    )
    moved = "cni: none\ncluster-cidr: 10.60.0.0/16\n"
    starts_with(
        server,
        moved,
        "cluster-cidr is 10.60.0.0/16, but this cluster was created with 10.42.0.0/16",
        "hint: set cluster-cidr to 10.42.0.0/16",
    )
