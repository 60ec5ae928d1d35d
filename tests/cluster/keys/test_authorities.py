"""``rke2 certificate rotate-ca``: other authorities for a server and an agent; cross-signed ones, then unknown ones."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import AGENT_TOKEN, Members

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

PATHS = Paths()
SCRIPT = Path(__file__).parents[3] / "packaging/rke2-new-cas.sh"
NEW = Path("/var/lib/rancher/new-cas")
_SERVED = """
import ssl, sys
print(ssl.get_server_certificate(("127.0.0.1", int(sys.argv[1])), timeout=10))
"""
_REVIEW = """
import json, subprocess, sys
review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": sys.argv[1]}}
done = subprocess.run(["kubectl", "create", "-f", "-", "-o", "json"], input=json.dumps(review), text=True,
                      capture_output=True, check=True)
print(json.loads(done.stdout)["status"].get("authenticated", False))
"""


@pytest.fixture(scope="module")
def nodes(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    """Agents have a secret of their own there: the one that is made for them goes with the client CA's key."""
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}cas")) as own:
        members = Members(own, workload_archive)
        server = members.place("server-0", "server", f"agent-token: {AGENT_TOKEN}\n")
        agent = members.place("agent-0", "agent", token=AGENT_TOKEN)
        members.boot(server)
        members.boot(agent)
        yield members


def new_authorities(node: LabNode, *words: str) -> Path:
    """Have the script make some, and put them on the host; a host with the least of a Debian has no openssl."""
    target = node.host.path(NEW)
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["sh", SCRIPT, *words, target], check=True, capture_output=True)
    return target / "tls"


def rotate(node: LabNode, *words: str) -> subprocess.CompletedProcess[str]:
    return node.rke2("certificate", "rotate-ca", "--path", str(NEW), *words, timeout=120)


def issuer_of(node: LabNode, port: int) -> str:
    """Who signed the certificate that the host shows on a port."""
    served = node.host.exec([node.host.python, "-c", _SERVED, str(port)], check=True, timeout=60).stdout
    return x509.load_pem_x509_certificate(served.encode()).issuer.rfc4514_string()


def subject_of(bundle: Path) -> str:
    return x509.load_pem_x509_certificates(bundle.read_bytes())[0].subject.rfc4514_string()


def accepted(node: LabNode, token: str) -> bool:
    """Whether the API server takes a service account's token for valid."""
    done = node.host.exec([node.host.python, "-c", _REVIEW, token], timeout=60)
    return done.stdout.strip() == "True"


def restart(nodes: Members, name: str) -> None:
    assert nodes[name].terminate() == 0
    nodes[name].start()
    nodes.until_ready(nodes[name])


def until_reached(nodes: Members) -> None:
    """The API server reaches the agent's kubelet, and the agent the API server."""
    eventually(lambda: nodes.ask_kubelet("agent-0"), "the agent's kubelet answers", 120, ok="ok".__eq__)
    nodes.until_node_ready("agent-0")


def test_cross_signed_authorities_are_taken_over_node_by_node(nodes: Members) -> None:
    server, agent = nodes["server-0"].node, nodes["agent-0"].node
    made = new_authorities(server, "-f", str(server.host.path(PATHS.server)))
    token = server.kubectl("create", "token", "default", "--duration=2h").stdout.strip()
    former = issuer_of(server, 6443)

    done = rotate(server)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "certificates saved to datastore"), done
    # Nothing before the restart.
    assert issuer_of(server, 6443) == issuer_of(server, 9345) == former

    restart(nodes, "server-0")
    new = subject_of(made / "server-ca.crt")
    assert new != former
    assert issuer_of(server, 6443) == issuer_of(server, 9345) == new
    for name in ("server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"):
        taken = server.host.path(PATHS.tls / f"{name}.crt").read_bytes()
        assert taken == (made / f"{name}.crt").read_bytes(), name
    # Tokens of before are valid, and an agent that knows the former authorities alone goes on.
    assert accepted(server, token)
    assert server.host.path(PATHS.agent / "server-ca.crt").read_bytes() != (
        agent.host.path(PATHS.agent / "server-ca.crt").read_bytes()
    )
    until_reached(nodes)

    restart(nodes, "agent-0")
    assert agent.host.path(PATHS.agent / "server-ca.crt").read_bytes() == (
        (made / "server-ca.crt").read_bytes()
    )
    kubelet = x509.load_pem_x509_certificate(agent.host.path(PATHS.agent / "client-kubelet.crt").read_bytes())
    assert kubelet.issuer.rfc4514_string() == subject_of(made / "client-ca.crt")
    until_reached(nodes)


def test_unknown_authorities_are_refused_and_taken_over_if_forced(nodes: Members) -> None:
    server = nodes["server-0"].node
    made = new_authorities(server)
    # Pods go on with their tokens.
    (made / "service.key").unlink()
    refused = rotate(server)
    assert refused.returncode == 1
    assert "ETCDServerCA: new CA cert cannot be verified using old CA chain" in refused.stderr

    assert rotate(server, "--force").returncode == 0
    # Not until all pods are ready: for some minutes they have the former CA.
    assert nodes["server-0"].terminate() == 0
    nodes["server-0"].start()
    eventually(lambda: nodes["server-0"].status().ready, "rke2 is up", 300)
    assert issuer_of(server, 6443) == subject_of(made / "server-ca.crt")
    restart(nodes, "agent-0")
    until_reached(nodes)
