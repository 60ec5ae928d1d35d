"""The CNI plugin's own pods are replaced: connections go on, policies stay in force."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.agents.cni.networks import Network
from tests.cluster.agents.cni.site import Site
from tests.cluster.eventually import eventually
from tests.cluster.objects import policy

PORT = 9000
SPEAK = f"(while true; do echo tick; sleep 0.1; done) | nc -l -p {PORT}"
# nc ends when its own input does.
LISTEN = "sleep 600 | nc {address} {port} > /tmp/heard; echo ended >> /tmp/heard"


class Connection:
    """One TCP connection between pods of different nodes, on which something is said ten times a second."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._run("web-server-0", SPEAK)
        address = site.address("web-server-0")
        eventually(self._serves, f"port {PORT} is served", 20)
        self._run("client-agent-0", LISTEN.format(address=address, port=PORT))

    def _run(self, pod: str, script: str) -> None:
        self._site.namespace.kubectl(
            "exec", pod, "--", "sh", "-c", f"({script}) < /dev/null > /dev/null 2>&1 &"
        )

    def _serves(self) -> bool:
        listening = self._site.namespace.exec("web-server-0", "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
        return f":{PORT:04X} " in listening

    def heard(self) -> int:
        """How often something has come through; fails if the connection has ended."""
        lines = self._site.namespace.exec("client-agent-0", "cat", "/tmp/heard").stdout.split()
        assert "ended" not in lines, "the connection was lost"
        return lines.count("tick")

    def goes_on(self) -> None:
        """Fail unless more comes through soon."""
        before = self.heard()
        eventually(self.heard, "more comes through", 10, ok=lambda heard: heard > before)

    def close(self) -> None:
        for pod in ("client-agent-0", "web-server-0"):
            self._site.namespace.exec(pod, "sh", "-c", "for p in $(pidof nc); do kill $p; done")


@pytest.fixture
def connection(site: Site) -> Iterator[Connection]:
    made = Connection(site)
    made.goes_on()
    yield made
    made.close()


def test_no_connection_and_no_policy_is_lost(site: Site, network: Network, connection: Connection) -> None:
    site.namespace.apply(policy("deny", ingress=[]))
    site.blocked("stranger", "guarded")
    system = ("--namespace", "kube-system")
    before = _pods(site, network)
    site.members.kubectl(*system, "delete", "pod", "--selector", network.agents, "--wait=true")

    def replaced() -> bool:
        now = _pods(site, network)
        assert site.fetch("stranger", f"{site.address('guarded')}:8080") != "guarded", (
            "policy was out of force"
        )
        return len(now) == 2 and not now & before and _all_ready(site, network)

    eventually(replaced, "both pods are replaced and ready", 90)
    connection.goes_on()
    site.namespace.remove("networkpolicy", "deny")
    site.is_open()


def _pods(site: Site, network: Network) -> set[str]:
    names = site.members.kubectl(
        "--namespace", "kube-system", "get", "pods", "--selector", network.agents, "--output", "name"
    )
    return set(names.split())


def _all_ready(site: Site, network: Network) -> bool:
    ready = site.members.kubectl(
        "--namespace", "kube-system", "get", "pods", "--selector", network.agents, "--output",
        'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}',
    )  # fmt: skip
    return ready.split() == ["True", "True"]
