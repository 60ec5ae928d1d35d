"""``cni: multus,canal`` on one server: further interfaces of pods, also after the machine lost its power. Its images
are in an optional archive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.http import fetch
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import place_server
from tests.cluster.objects import PORT, Object, pod, web
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

CNI = "multus,canal"
CONFIGURATIONS = Path("/etc/cni/net.d")
OF_MULTUS, OF_CANAL = CONFIGURATIONS / "00-multus.conf", CONFIGURATIONS / "10-canal.conflist"
STORAGE = ip_network("192.168.77.0/24")


@pytest.fixture(scope="module")
def server(lab: Lab, workload_archive: Path) -> Iterator[Server]:
    made = Server(place_server(lab, "with-multus", workload_archive, f"cni: {CNI}\n", CNI))
    made.start()
    made.until_ready()
    yield made
    lab.remove_host("with-multus")


@pytest.fixture(scope="module")
def pods(server: Server) -> Namespace:
    """Web servers `one` and `two` with a second interface, `plain` without."""
    namespace = Namespace.create(server.node, "networks")
    namespace.apply(network("storage", type="bridge", bridge="storage0"))
    namespace.apply(attached(web("one"), "storage"), attached(web("two"), "storage"), web("plain"))
    namespace.until("condition=Ready", "pod/one", "pod/two", "pod/plain")
    return namespace


def network(name: str, **plugin: str) -> Object:
    """A NetworkAttachmentDefinition whose addresses are of `STORAGE`, on each node by itself."""
    config = {
        "cniVersion": "1.0.0",
        "name": name,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": str(STORAGE)}]]},
        **plugin,
    }
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": json.dumps(config)},
    }


def attached(one: Object, networks: str) -> Object:
    """The pod with interfaces in further networks, separated by commas."""
    one["metadata"]["annotations"] = {"k8s.v1.cni.cncf.io/networks": networks}
    return one


def interfaces(namespace: Namespace, name: str) -> dict[str, str]:
    """The pod's interfaces but loopback, each with its IPv4 address as the pod itself sees it."""
    listed = namespace.exec(name, "ip", "-o", "-4", "addr").stdout.splitlines()
    found = {line.split()[1]: line.split()[3].partition("/")[0] for line in listed}
    return {interface: address for interface, address in found.items() if interface != "lo"}


def pod_ip(namespace: Namespace, name: str) -> str:
    return str(namespace.find("pod", name)["status"]["podIP"])


def until_reached(namespace: Namespace, client: str, address: str, answer: str) -> None:
    eventually(
        lambda: fetch(namespace, client, f"{address}:{PORT}"), f"{client}: {answer}", 30, ok=answer.__eq__
    )


def test_a_pod_has_the_interfaces_it_asks_for(pods: Namespace) -> None:
    for name in ("one", "two"):
        found = interfaces(pods, name)
        assert found.keys() == {"eth0", "net1"}
        assert found["eth0"] == pod_ip(pods, name)
        assert found["net1"] in map(str, STORAGE.hosts())
        status = json.loads(
            pods.find("pod", name)["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"]
        )
        assert [(each["name"], each["ips"]) for each in status if not each.get("default")] == [
            ("networks/storage", [found["net1"]])
        ]


def test_pods_reach_each_other_in_both_networks(pods: Namespace) -> None:
    for client, target in (("one", "two"), ("two", "one")):
        for address in interfaces(pods, target).values():
            until_reached(pods, client, address, target)


def test_a_pod_that_asks_for_nothing_is_as_before(pods: Namespace) -> None:
    assert interfaces(pods, "plain") == {"eth0": pod_ip(pods, "plain")}
    until_reached(pods, "plain", pod_ip(pods, "one"), "one")
    until_reached(pods, "one", pod_ip(pods, "plain"), "plain")


def test_an_interface_beside_the_nodes_own(pods: Namespace) -> None:
    pods.apply(network("outside", type="macvlan", master="eth0", mode="bridge"))
    pods.apply(attached(pod("both"), "outside,storage"))
    pods.until("condition=Ready", "pod/both")
    assert interfaces(pods, "both").keys() == {"eth0", "net1", "net2"}
    pods.remove("pod", "both")


def test_a_network_that_is_not_there_is_named(pods: Namespace) -> None:
    pods.apply(attached(pod("lost"), "nowhere"))
    eventually(pods.seen, "an event names the network", 60, ok=lambda text: "nowhere" in text)
    pods.remove("pod", "lost")


def test_multus_waits_for_canal_without_restarts(server: Server) -> None:
    (found,) = Namespace(server.node, "kube-system").list("pod", "--selector", "app=rke2-multus")
    assert [each["restartCount"] for each in found["status"]["containerStatuses"]] == [0]


@pytest.mark.parametrize("lost", [(), (OF_CANAL,)], ids=["both-kept", "canals-lost"])
def test_a_machine_that_was_off_comes_back(server: Server, pods: Namespace, lost: tuple[Path, ...]) -> None:
    """Also where only Multus's configuration outlived it: the node would be Ready by that, before Canal is."""
    host = server.node.host
    assert host.path(OF_MULTUS).exists()
    host.stop()
    for file in lost:
        host.path(file).unlink()
    host.start()
    server.start()
    server.until_ready()

    for file in (OF_CANAL, OF_MULTUS):
        eventually(host.path(file).exists, f"there is {file}", 60)
    log = Namespace(server.node, "kube-system").kubectl("logs", "--selector", "app=rke2-multus")
    assert ("removed 00-multus.conf:" in log) == bool(lost), log
    pods.until("condition=Ready", "pod/one", "pod/two", "pod/plain", seconds=180)
    assert interfaces(pods, "one").keys() == {"eth0", "net1"}
    for address in interfaces(pods, "two").values():
        until_reached(pods, "one", address, "two")
    fresh = "after-" + ("canals" if lost else "both")
    pods.apply(attached(web(fresh), "storage"))
    pods.until("condition=Ready", f"pod/{fresh}")
    assert interfaces(pods, fresh).keys() == {"eth0", "net1"}
    for address in interfaces(pods, fresh).values():
        until_reached(pods, "plain" if address == pod_ip(pods, fresh) else "one", address, fresh)


def test_multus_goes_where_it_is_taken_out(server: Server, pods: Namespace) -> None:
    server.terminate()
    server.node.host.write_file(Paths().config_dir / "config.yaml", "cni: canal\n")
    server.start()
    server.until_ready()
    eventually(server.node.host.path(OF_MULTUS).exists, "no Multus", 120, ok=lambda exists: not exists)
    assert pods.find("network-attachment-definition", "storage")
    assert interfaces(pods, "one").keys() == {"eth0", "net1"}, "pods keep what they have"
    pods.apply(attached(web("late"), "storage"))
    pods.until("condition=Ready", "pod/late")
    assert interfaces(pods, "late").keys() == {"eth0"}
    until_reached(pods, "late", pod_ip(pods, "one"), "one")
