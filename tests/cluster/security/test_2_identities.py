"""A name belongs to one machine: who else asks for its certificates is refused, and no name is anything but a name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from tests.cluster.eventually import eventually
from tests.cluster.members import Members
from tests.cluster.security.credentials import PATHS
from tests.cluster.security.requests import signing_request
from tests.cluster.security.wire import Ask, Attacker, Credential, table

JOINING = ("agent token", "bootstrap token", "server token")
"""What a stranger may have found."""
OF_ONE_NODE = ("client-kubelet", "serving-kubelet")


def order(kind: str, by: Credential, node: str, password: str, **headers: str) -> Ask:
    """A request for a certificate of the node `node`."""
    given = {"rke2-Node-Name": node, "rke2-Node-Password": password, **headers}
    return Ask(f"POST /v1-rke2/{kind}.crt", by, given, signing_request())


def password(pair: Members, name: str) -> str:
    return pair[name].node.host.path(PATHS.node_config_dir / "password").read_text().strip()


@pytest.mark.parametrize("credential", JOINING)
@pytest.mark.parametrize("node", ["agent-0", "server-0"])
def test_no_certificate_in_the_name_of_another_node(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential], node: str, credential: str
) -> None:
    other = "server-0" if node == "agent-0" else "agent-0"
    passwords = ("guess", password(pair, other), " ", "x" * 4000)
    asks = [order(kind, credentials[credential], node, each) for kind in OF_ONE_NODE for each in passwords]
    got = [
        answer for answer in attacker.ask(*asks) if answer.status == 200 or b"CERTIFICATE" in answer.received
    ]
    assert not got, table([(each,) for each in got])


def test_the_servers_name_is_its_own(pair: Members) -> None:
    """Its password is known to the cluster before anybody can ask in its name."""
    names = pair.kubectl("--namespace", "kube-system", "get", "secrets", "--output", "name")
    for node in ("server-0", "agent-0"):
        assert f"secret/{node}.node-password.rke2" in names.split()


@pytest.mark.parametrize("node", ["server-0", "new-node", "agent-0.", "agent-0.svc", ""])
def test_a_kubelets_certificate_is_for_its_own_name(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential], node: str
) -> None:
    for kind in OF_ONE_NODE:
        asked = order(kind, credentials["kubelet"], node, password(pair, "agent-0"))
        assert attacker.ask(asked)[0].status in {400, 401, 403}


def test_a_node_that_has_its_password_is_answered(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    """Otherwise the refusals above would prove nothing."""
    asks = [
        order(
            kind,
            credentials[name],
            "agent-0",
            password(pair, "agent-0"),
            **{"rke2-Node-IP": attacker.host.address},
        )
        for name in (*JOINING, "kubelet")
        for kind in OF_ONE_NODE
    ]
    answers = attacker.ask(*asks)
    assert [answer.status for answer in answers] == [200] * len(asks), table([(each,) for each in answers])
    for ask, answer in zip(asks, answers, strict=True):
        name = x509.load_pem_x509_certificates(answer.body)[0].subject.rfc4514_string()
        assert name == ("CN=system:node:agent-0,O=system:nodes" if "client" in ask.line else "CN=agent-0")


# --- names that are none ---------------------------------------------------------------------------
BAD_NAMES = (
    "../agent-0",
    "..",
    ".",
    "a/b",
    "a/../../../nodes/agent-0",
    "agent-0%2fstatus",
    "%2e%2e",
    "agent-0?force=true",
    "agent-0#",
    "agent-0;x",
    "AGENT-0",
    "Agent-0",
    "agent_0",
    "-agent",
    "agent-",
    "a..b",
    "a b",
    "a\tb",
    "a,b",
    "a=b",
    "a*",
    "*",
    "system:node:agent-0",
    "system:masters",
    "agent-0\x00",
    "\u212agent-0",
    "agent-\u0660",
    "a" * 54,
    "a" * 300,
    "127.0.0.1:10250",
)
"""Each could mean something else once it is in a path, a certificate or a log."""


@pytest.mark.parametrize("credential", ["agent token", "bootstrap token"])
def test_no_certificate_for_a_bad_name(
    attacker: Attacker, credentials: dict[str, Credential], credential: str
) -> None:
    asks = [order(kind, credentials[credential], node, "x") for kind in OF_ONE_NODE for node in BAD_NAMES]
    wrong = [
        (ask.headers["rke2-Node-Name"][:60], answer)
        for ask, answer in zip(asks, attacker.ask(*asks), strict=True)
        if answer.status != 400
        and not (answer.status == 403 and ask.headers["rke2-Node-Name"].lower() == "agent-0")
    ]
    assert not wrong, table(wrong)


def test_bad_names_have_left_nothing_behind(pair: Members) -> None:
    """Nothing was made for them, and nothing that was there has gone."""
    names = pair.kubectl("--namespace", "kube-system", "get", "secrets", "--output", "name").split()
    made = {name.removeprefix("secret/") for name in names if name.endswith(".node-password.rke2")}
    assert made >= {"server-0.node-password.rke2", "agent-0.node-password.rke2"}
    assert not {name for name in made if name.startswith(("a.", "system", "aaaa", "-"))}
    assert pair.ready("agent-0")


# --- a Secret that is lost -------------------------------------------------------------------------
@pytest.mark.parametrize("node", ["agent-0", "server-0"])
def test_the_name_of_a_node_without_a_secret_is_not_free(
    pair: Members, credentials: dict[str, Credential], node: str
) -> None:
    """Its Node is there: another machine gets nothing, and the right one sets its password again.

    An agent shows that it is the right one by its certificate, which it presents beside its token.
    """
    secret = f"{node}.node-password.rke2"
    own = Attacker(pair[node].node.host, pair["server-0"].node.host.address)
    other = Attacker(pair["agent-0" if node == "server-0" else "server-0"].node.host, own.server)
    token = credentials["agent token"]
    proof = replace(token, pem=credentials["kubelet"].pem) if node == "agent-0" else token
    assert pair.kubectl("--namespace", "kube-system", "delete", "secret", secret, "--ignore-not-found=false")
    wrong = [
        answer
        for kind in OF_ONE_NODE
        if (answer := other.ask(order(kind, token, node, "guess"))[0]).status == 200
    ]
    try:
        assert not wrong, table([(each,) for each in wrong])
    finally:
        if wrong:
            pair.kubectl("--namespace", "kube-system", "delete", "secret", secret)
        answered = own.ask(order("client-kubelet", proof, node, password(pair, node)))[0]
    assert answered.status == 200, answered
    eventually(
        lambda: secret in pair.kubectl("--namespace", "kube-system", "get", "secrets", "--output", "name"),
        f"{secret} is there again",
        60,
    )
