"""Which ways each ``egress-selector-mode`` takes from the API server to an agent and its pods.

A way that is shut shows which one was taken. The default, ``agent``, is test_through_the_tunnel.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from tests.cluster.agents.tunnel.closed import KUBELET, PODS, closed
from tests.cluster.eventually import eventually
from tests.cluster.http import get
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, on, web

pytestmark = pytest.mark.long

SECONDS = 30.0


@pytest.fixture(scope="module", params=["cluster", "pod", "disabled"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def members(mode: str, lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """A server in a mode, and an agent, which is told of it."""
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}{mode}")) as own:
        made = Members(own, workload_archive)
        server = made.place("server-0", "server", f"egress-selector-mode: {mode}\n")
        made.boot(server, made.place("agent-0", "agent"))
        yield made


@pytest.fixture(scope="module")
def pods(members: Members) -> Namespace:
    """A pod `web` on the agent."""
    namespace = Namespace.create(members["server-0"].node, "modes")
    namespace.apply(on("agent-0", web("web")))
    namespace.until("condition=Ready", "pod/web")
    return namespace


def test_the_kubelet(mode: str, members: Members) -> None:
    """Through the tunnel, so that its port may be shut; directly where that is disabled."""
    asked = partial(members.ask_kubelet, "agent-0")
    eventually(asked, "the kubelet answers the API server", SECONDS, ok="ok".__eq__)
    with closed(members["agent-0"].node.host, KUBELET):
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
    with closed(members["agent-0"].node.host, PODS):
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
