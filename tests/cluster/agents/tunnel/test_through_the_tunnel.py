"""kubectl logs, exec, attach and port-forward with pods of an agent whose ports no server can reach."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest

from tests.cluster.agents.tunnel.closed import KUBELET, closed
from tests.cluster.eventually import eventually
from tests.cluster.members import Members
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, Object, on, pod
from tests.cluster.operators_access.test_kubectl import INPUT, TEXT, WRITE, forwarded

NOTHING = ["sh", "-c", ":"]


@pytest.fixture(scope="module")
def shut(pair: Members) -> Iterator[Members]:
    """The cluster, with the agent's kubelet out of reach."""
    host = pair["agent-0"].node.host
    attempt = "import socket, sys; socket.create_connection((sys.argv[1], 10250), timeout=2)"
    with closed(host, KUBELET):
        server = pair["server-0"].node.host
        done = server.exec([server.python, "-c", attempt, host.address])
        assert "TimeoutError" in done.stderr, "control: the server cannot dial the agent"
        yield pair


@pytest.fixture(scope="module")
def pods(shut: Members) -> Iterator[Namespace]:
    """Pods `box` (does nothing) and `web` (serves ``/text``) on the agent."""
    namespace = Namespace.create(shut["server-0"].node, f"tunnel-{os.getpid()}")
    serve = f"({WRITE}) > /tmp/text; exec httpd -f -p {PORT} -h /tmp"
    namespace.apply(_on_agent(pod("box")), _on_agent(pod("web", ["sh", "-c", serve], serves="/text")))
    namespace.until("condition=Ready", "pod/box", "pod/web")
    yield namespace
    namespace.delete()


def _on_agent(made: Object) -> Object:
    return on("agent-0", made)


def test_exec_with_input_output_and_exit_code(pods: Namespace) -> None:
    done = pods.exec("box", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    script = "cat > /tmp/in; sha256sum /tmp/in"
    summed = pods.kubectl("exec", "--stdin", "box", "--", "sh", "-c", script, input=INPUT)
    assert summed.split()[0] == hashlib.sha256(INPUT.encode()).hexdigest()
    assert pods.exec("web", "cat", "/tmp/text").stdout == TEXT


def test_logs_are_followed_to_the_end(pods: Namespace) -> None:
    pods.apply(_on_agent(pod("writer", ["sh", "-c", WRITE], restartPolicy="Never")))
    pods.until("jsonpath={.status.containerStatuses[0].started}", "pod/writer", seconds=60)
    assert pods.kubectl("logs", "--follow", "writer") == TEXT


def test_attach(pods: Namespace) -> None:
    echo = _on_agent(
        pod("echo", ["sh", "-c", "echo ready; read line; echo got $line"], restartPolicy="Never")
    )
    echo["spec"]["containers"][0] |= {"stdin": True, "stdinOnce": True}
    pods.apply(echo)
    pods.until("condition=Ready", "pod/echo")
    assert "got hello\n" in pods.kubectl("attach", "--stdin", "echo", input="hello\n")


def test_port_forward(pods: Namespace) -> None:
    with forwarded(pods, "pod/web", PORT) as local:
        for _ in range(2):
            url = f"http://127.0.0.1:{local}/text"
            got = pods.node.host.exec(["busybox", "wget", "-q", "-O", "-", url], timeout=30)
            assert got.stdout == TEXT, got.stderr


def test_the_api_reaches_the_kubelet_through_it(shut: Members) -> None:
    assert shut.ask_kubelet("agent-0") == "ok"


def _works(pods: Namespace) -> bool:
    return pods.exec("box", *NOTHING).returncode == 0


def test_a_lost_tunnel_comes_back(shut: Members, pods: Namespace) -> None:
    """The agent's rke2 is killed: its tunnel goes with it, its pods stay, a new one serves them."""
    agent = shut["agent-0"]
    agent.kill()
    assert not _works(pods), "control: no tunnel, no way"
    agent.until_childless()
    agent.start()
    eventually(lambda: _works(pods), "exec works again", 60)
    shut.until_ready(agent)


def test_a_hung_agent_does_not_hold_up_the_server(shut: Members, pods: Namespace) -> None:
    host = shut["agent-0"].node.host
    host.freeze()
    try:
        command = ["timeout", "10", *pods.command("exec", "box", "--", *NOTHING)]
        assert pods.node.host.exec(command, timeout=60).returncode != 0
        assert shut.kubectl("get", "nodes")
        assert shut["server-0"].running
    finally:
        host.thaw()
    eventually(lambda: _works(pods), "exec works again", 120)


def test_a_restarted_server_gets_its_tunnels_back(shut: Members, pods: Namespace) -> None:
    server = shut["server-0"]
    assert server.terminate() == 0
    server.start()
    shut.until_ready(server)
    eventually(lambda: _works(pods), "exec works again", 60)
    assert shut["agent-0"].running
