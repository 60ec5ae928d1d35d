"""A node says that it has the addresses of others: their kubelets are reached all the same, and it is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest

from rke2.config.paths import Paths
from tests.cluster.agents.tunnel.closed import KUBELET, closed
from tests.cluster.eventually import eventually
from tests.cluster.members import Members
from tests.cluster.objects import Object

STOLEN = Paths().data_dir / "stolen.kubeconfig"
LONGER_THAN_A_LOOK = 60.0
_STATUS = "/api/v1/nodes/agent-0/status"

Claim = Callable[..., None]


@pytest.fixture
def claim(pair: Members) -> Iterator[Claim]:
    """Makes Nodes without a machine that claim addresses."""
    host, made = pair["server-0"].node.host, []

    def make(name: str, *addresses: str) -> None:
        node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        host.exec(["kubectl", "create", "--filename", "-"], input=json.dumps(node), check=True, timeout=60)
        made.append(name)
        status = {"status": {"addresses": [{"type": "InternalIP", "address": each} for each in addresses]}}
        _patch_status(pair, name, status)

    yield make
    for name in made:
        pair.kubectl("delete", "node", name, "--wait=false")


def _patch_status(pair: Members, name: str, patch: Object) -> None:
    command = ["kubectl", "patch", "node", name, "--subresource=status", "--type=merge"]
    pair["server-0"].node.host.exec([*command, "--patch", json.dumps(patch)], check=True, timeout=60)


def _told(pair: Members, name: str) -> str:
    fields = f"--field-selector=reason=AddressNotTunnelled,involvedObject.name={name}"
    return pair.kubectl("get", "events", "--all-namespaces", fields, "--output=jsonpath={.items[*].message}")


def test_a_newer_node_with_the_addresses_of_the_others(pair: Members, claim: Claim) -> None:
    addresses = [pair[name].node.host.address for name in ("server-0", "agent-0")]
    claim("usurper", *addresses, "10.43.0.1", "127.0.0.1")
    with closed(pair["agent-0"].node.host, KUBELET):
        eventually(
            lambda: _told(pair, "usurper"),
            "it is told",
            LONGER_THAN_A_LOOK,
            ok=lambda said: all(each in said for each in (*addresses, "10.43.0.1", "127.0.0.1")),
        )
        assert pair.ask_kubelet("agent-0") == "ok"
        assert pair.ask_kubelet("server-0") == "ok"
    assert "AddressNotTunnelled" in pair["server-0"].node.log.read_text()


def test_a_node_that_is_called_as_the_address_of_another(pair: Members, claim: Claim) -> None:
    address = pair["agent-0"].node.host.address
    claim(address)
    with closed(pair["agent-0"].node.host, KUBELET):
        eventually(lambda: _told(pair, address), "it is told", LONGER_THAN_A_LOOK)
        assert pair.ask_kubelet("agent-0") == "ok"


def test_an_agent_claims_its_servers_address_with_its_kubelets_credentials(pair: Members) -> None:
    """What a stolen kubelet certificate can write. The kubelet itself puts it right again, sooner or later."""
    server = pair["server-0"].node.host
    node = json.loads(pair.kubectl("get", "node", "agent-0", "--output=json"))
    del node["metadata"]["resourceVersion"]
    right = node["status"]["addresses"]
    false = [{"type": "ExternalIP", "address": server.address}, *right]
    server.path(STOLEN).write_text(_stolen(pair))
    try:
        _replace_status(pair, {**node, "status": {**node["status"], "addresses": false}})
        written = json.loads(pair.kubectl("get", "node", "agent-0", "--output=json"))
        assert written["status"]["addresses"] == false, "control: it may"
        assert pair.ask_kubelet("server-0") == "ok"
        assert pair.ask_kubelet("agent-0") == "ok"
    finally:
        _patch_status(pair, "agent-0", {"status": {"addresses": right}})
        server.path(STOLEN).unlink()


def _replace_status(pair: Members, node: Object) -> None:
    """Write a Node's status with the stolen credentials, which may not read it (as `kubectl patch` does first)."""
    command = ["kubectl", f"--kubeconfig={STOLEN}", "replace", "--raw", _STATUS, "--filename", "-"]
    pair["server-0"].node.host.exec(command, input=json.dumps(node), check=True, timeout=60)


def _stolen(pair: Members) -> str:
    """The agent's kubeconfig with its files in it, for the server's host."""
    agent = pair["agent-0"].node
    directory = Paths().agent

    def data(name: str) -> str:
        return base64.b64encode(agent.host.path(directory / name).read_bytes()).decode()

    user = {
        "client-certificate-data": data("client-kubelet.crt"),
        "client-key-data": data("client-kubelet.key"),
    }
    cluster = {"server": "https://127.0.0.1:6443", "certificate-authority-data": data("server-ca.crt")}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stolen",
            "contexts": [{"name": "stolen", "context": {"cluster": "stolen", "user": "stolen"}}],
            "clusters": [{"name": "stolen", "cluster": cluster}],
            "users": [{"name": "stolen", "user": user}],
        }
    )
