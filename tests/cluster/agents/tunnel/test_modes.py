"""Which ways each ``egress-selector-mode`` takes from the API server to an agent and its pods.

A way that is shut shows which one was taken. The default, ``agent``, is test_through_the_tunnel.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from rke2.lab.lab import Lab
from tests.cluster.eventually import eventually
from tests.cluster.http import get
from tests.cluster.labs import gone_afterwards
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, web

pytestmark = pytest.mark.long

KUBELET = ["--protocol", "tcp", "--match", "multiport", "--dports", "10250,10010"]
PODS = ["--protocol", "udp", "--dport", "8472"]
"""VXLAN: packets for pods on other nodes are in it."""

BY_THE_KUBELET = ("get", "--raw", "/api/v1/nodes/agent-0/proxy/healthz")
SECONDS = 30.0


@pytest.fixture(scope="module", params=["cluster", "pod", "disabled"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def members(mode: str, lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server in a mode, and an agent, which is told of it."""
    with gone_afterwards(Lab(lab.state_dir, f"{lab.name}{mode}")) as own:
        made = Members(own, workload_archive)
        server = made.place("server-0", "server", f"egress-selector-mode: {mode}\n")
        made.boot(server, made.place("agent-0", "agent"))
        yield made


@pytest.fixture(scope="module")
def pods(members: Members) -> Namespace:
    """A pod `web` on the agent."""
    namespace = Namespace.create(members["server-0"].node, "modes")
    made = web("web")
    made["spec"]["nodeName"] = "agent-0"
    namespace.apply(made)
    namespace.until("condition=Ready", "pod/web")
    return namespace


@contextmanager
def shut(members: Members, rule: list[str]) -> Iterator[None]:
    """Keep packets from other hosts that match `rule` from the agent."""
    host = members["agent-0"].node.host
    full = ["INPUT", "!", "--in-interface", "lo", *rule, "--jump", "DROP"]
    host.exec(["iptables", "--wait", "--insert", *full], check=True)
    try:
        yield
    finally:
        host.exec(["iptables", "--wait", "--delete", *full], check=True)


def test_the_kubelet(mode: str, members: Members) -> None:
    """Through the tunnel, so that its port may be shut; directly where that is disabled."""
    asked = partial(members.kubectl, *BY_THE_KUBELET)
    eventually(asked, "the kubelet answers the API server", SECONDS, ok="ok".__eq__)
    with shut(members, KUBELET):
        if mode == "disabled":
            eventually(lambda: asked() != "ok", "the API server has no way left", SECONDS)
        else:
            for _ in range(5):
                assert asked() == "ok"
    eventually(asked, "the kubelet answers again", SECONDS, ok="ok".__eq__)


def test_pods(mode: str, members: Members, pods: Namespace) -> None:
    """The agent connects to its pods for the API server, which then needs no pod network itself."""
    url = f"/api/v1/namespaces/{pods.name}/pods/http:web:{PORT}/proxy/"
    asked = partial(members.kubectl, "get", "--raw", url)
    address = pods.find("pod", "web")["status"]["podIP"]
    direct = partial(members["server-0"].node.host.exec, ["busybox", *get(f"{address}:{PORT}")])
    eventually(lambda: asked().strip(), "the pod answers the API server", SECONDS, ok="web".__eq__)
    with shut(members, PODS):
        assert direct().stdout == "", "control: the pod network is shut"
        if mode == "disabled":
            eventually(lambda: asked() == "", "the API server has no way left", SECONDS)
        else:
            for _ in range(5):
                assert asked().strip() == "web"
    eventually(lambda: direct().stdout.strip(), "the pod network is back", SECONDS, ok="web".__eq__)


def test_exec(members: Members, pods: Namespace) -> None:
    done = pods.exec("web", "sh", "-c", "echo out; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert members.ready("agent-0")
