"""Every route with every credential: who is not allowed learns nothing, who is gets an answer."""

from __future__ import annotations

import json
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.eventually import eventually
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.security.wire import NOBODY, Ask, Attacker, Credential, table

# --- the tables ------------------------------------------------------------------------------------
PUBLIC, SERVERS, NODES, AGENTS, MASTERS = "public", "servers", "nodes", "agents", "masters"

ROUTES: tuple[tuple[str, str, int], ...] = (
    # request, for whom, answer to those
    ("GET /ping", PUBLIC, 200),
    ("GET /cacerts", PUBLIC, 200),
    ("HEAD /cacerts", PUBLIC, 200),
    ("POST /cacerts", PUBLIC, 200),
    ("GET /static/nothing", PUBLIC, 404),
    ("GET /db/info", SERVERS, 200),
    ("POST /db/snapshot", SERVERS, 500),  # a body that is no JSON
    ("GET /v1-rke2/server-bootstrap", SERVERS, 200),
    ("GET /v1-rke2/encrypt/status", SERVERS, 200),
    ("PUT /v1-rke2/encrypt/config", SERVERS, 400),  # without a body
    ("PUT /v1-rke2/cert/cacerts", SERVERS, 500),  # without a body
    ("PUT /v1-rke2/token", SERVERS, 400),
    ("GET /v1-rke2/connect", NODES, 400),  # not a websocket
    ("GET /v1-rke2/serving-kubelet.crt", AGENTS, 400),  # without a certificate signing request
    ("GET /v1-rke2/client-kubelet.crt", AGENTS, 400),
    ("GET /v1-rke2/client-kube-proxy.crt", AGENTS, 400),
    ("GET /v1-rke2/client-rke2-controller.crt", AGENTS, 400),
    ("POST /v1-rke2/client-rke2-controller.crt", AGENTS, 400),
    ("GET /v1-rke2/client-ca.crt", AGENTS, 200),
    ("GET /v1-rke2/server-ca.crt", AGENTS, 200),
    ("GET /v1-rke2/apiservers", AGENTS, 200),
    ("GET /v1-rke2/config", AGENTS, 200),
    ("DELETE /v1-rke2/config", AGENTS, 200),  # nothing is deleted: RKE2 answers every method alike
    ("GET /v1-rke2/readyz", AGENTS, 200),
    ("GET /v1-k3s/server-bootstrap", SERVERS, 200),
    ("GET /v1-k3s/client-kubelet.crt", AGENTS, 400),
    ("GET /v1-k3s/client-k3s-controller.crt", AGENTS, 400),
    ("GET /v1-k3s/config", AGENTS, 200),
    ("CONNECT 127.0.0.1:9", MASTERS, 502),
    ("GET /", PUBLIC, 404),
    ("GET /api/v1/namespaces/kube-system/secrets", PUBLIC, 404),
    ("GET /v1-rke2/nothing", PUBLIC, 404),
    ("GET /v1-rke2/client-admin.crt", PUBLIC, 404),
    ("GET /debug/pprof/", PUBLIC, 404),
    ("GET /metrics", MASTERS, 200),
)

ALLOWED: dict[str, set[str]] = {
    "server token": {SERVERS, AGENTS},
    "agent token": {AGENTS},
    "bootstrap token": {AGENTS},
    "kubelet": {AGENTS, NODES},
    "admin": {MASTERS},
    "supervisor": {MASTERS},
    "kube-apiserver": {MASTERS},
}
"""What else than the public routes a credential is for. Those that are not here are for nothing."""

READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: figures-reader}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: figures-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: figures-reader}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
"""
"""What docs/monitoring.md gives a monitoring system."""

REFUSALS = {401, 403}
NO_HANDSHAKE = {"another CA's"}
"""Credentials with which TLS itself fails."""


def expected(credential: str, kind: str, answer: int) -> set[int]:
    if credential in NO_HANDSHAKE:
        return {0}
    if kind == PUBLIC or kind in ALLOWED.get(credential, ()):
        return {answer}
    return REFUSALS


GUESSES = (
    "wrong token",
    "wrong user",
    "agent token as server",
    "server token as node",
    "wrong bootstrap token",
)
GUESSES_AT_ONCE = 100
"""Wrong secrets are answered late, after five seconds at most, but so are all of them at the same time."""


def test_routes_with_credentials(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    """The whole product of both tables."""
    wrong: list[tuple[object, ...]] = []
    guesses = {name for name, by in credentials.items() if by.authorization and name not in ALLOWED}
    assert guesses >= set(GUESSES)
    for names, at_once in ((credentials.keys() - guesses, 4), (guesses, GUESSES_AT_ONCE)):
        cases = [(*route, credentials[name]) for route in ROUTES for name in sorted(names)]
        answers = attacker.ask(*(Ask(line, by, seconds=30) for line, _, _, by in cases), at_once=at_once)
        wrong += [
            (line, "by", by.name, "expected", expected(by.name, kind, status), "but", answer)
            for (line, kind, status, by), answer in zip(cases, answers, strict=True)
            if answer.status not in expected(by.name, kind, status)
        ]
    assert not wrong, table(wrong)


def test_guessing_takes_its_time_and_keeps_nobody_out(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    """After the first few, each wrong secret is answered late; a right one at once, from the same address."""
    guess = Ask("GET /v1-rke2/config", credentials["wrong token"], seconds=30)
    answers = attacker.ask(*[guess] * 20, at_once=20)
    assert {answer.status for answer in answers} == {401}
    assert sorted(answer.seconds for answer in answers)[-10] > 1
    right = attacker.one("GET /v1-rke2/config", credentials["agent token"])
    assert (right.status, right.seconds < 1) == (200, True), right


def test_a_refusal_tells_nothing(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    """Neither whether a node exists nor what was wrong with a secret."""
    bad = [by for name, by in credentials.items() if name.startswith(("wrong", "two", "no "))]
    headers = [{"rke2-Node-Name": name, "rke2-Node-Password": "x"} for name in ("agent-0", "nobody-0")]
    asks = [
        Ask("POST /v1-rke2/client-kubelet.crt", by, each, b"x", seconds=30) for by in bad for each in headers
    ]
    answers = attacker.ask(*asks, at_once=len(asks))
    bodies = {answer.body for answer in answers}
    assert {answer.status for answer in answers} <= REFUSALS, table([(a,) for a in answers])
    assert len(bodies) <= 2, bodies
    assert not any(b"agent-0" in body for body in bodies)


# --- ways around the table -------------------------------------------------------------------------
DETOURS = (
    "GET /static/../v1-rke2/server-bootstrap",
    "GET /static/%2e%2e/%2e%2e/server/token",
    "GET /static/..%2f..%2fserver%2ftoken",
    "GET /static//etc/shadow",
    "GET /static/%2fetc%2fshadow",
    "GET /static/..\\..\\token",
    "GET /static/%00",
    "GET /static/..",
    "GET //db/info",
    "GET /ping/../db/info",
    "GET /cacerts/../v1-rke2/config",
    "GET /V1-RKE2/config",
    "GET /v1-rke2/./config",
    "GET /v1-rke2//config",
    "GET /v1-rke2/config/",
    "GET /v1-rke2/%63onfig",
    "GET /v1-rke2/config?x=/ping",
    "GET /v1-rke2/config#/ping",
    "GET /ping#/../v1-rke2/config",
    "GET http://127.0.0.1/db/info",
    "GET https://server/v1-rke2/config",
    "HEAD /v1-rke2/config",
    "OPTIONS /v1-rke2/config",
    "OPTIONS *",
    "TRACE /v1-rke2/config",
    "BREW /v1-rke2/config",
    "PUT /v1-rke2/config",
    "DELETE /db/info",
)
"""Requests without credentials that must not reach what their end means."""

PRETENCES: tuple[dict[str, str], ...] = (
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"X-Remote-User": "server", "X-Remote-Group": "rke2:server"},
    {"Impersonate-User": "system:admin", "Impersonate-Group": "system:masters"},
    {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/ping"},
    {"Host": "127.0.0.1:9345"},
    {"Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__", "Connection": "Upgrade, HTTP2-Settings"},
    {"SSL-Client-Cert": "x", "X-SSL-Client-Verify": "SUCCESS"},
)


def test_no_way_around(attacker: Attacker) -> None:
    asks = [Ask(line) for line in DETOURS]
    asks += [
        Ask(f"GET {path}", NOBODY, headers)
        for headers in PRETENCES
        for path in ("/db/info", "/v1-rke2/config")
    ]
    served = [
        (ask.line, ask.headers, answer)
        for ask, answer in zip(asks, attacker.ask(*asks), strict=True)
        if answer.status == 200 and answer.body != b"pong"
    ]
    assert not served, table(served)


def test_credentials_are_of_one_request(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    """The next request on the same connection has none, unless it is the certificate's."""
    first = Ask("GET /v1-rke2/config", credentials["agent token"], keep=True).text()
    second = Ask("GET /v1-rke2/config").text()
    answer = attacker.ask(Ask(parts=((0.0, first), (0.5, second))), Ask(parts=((0.0, first + second),)))
    assert [each.statuses for each in answer] == [[200, 403], [200, 403]]


def test_the_agents_answer_holds_no_secret(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    """What every agent may read names no token, key or datastore, and only what an agent uses."""
    for name in ("agent token", "bootstrap token", "kubelet"):
        body = attacker.one("GET /v1-rke2/config", credentials[name]).body.decode()
        for secret in (pair.lab.token, AGENT_TOKEN, "PRIVATE KEY", "::server:"):
            assert secret not in body, name
        keys = set(json.loads(body))
        assert not {key for key in keys if key.startswith(("EtcdS3", "Datastore"))}, name
        assert not keys & {"Token", "AgentToken", "KineTLS", "Runtime", "ExtraEtcdArgs", "ExtraAPIArgs"}, name


@pytest.mark.parametrize("credential", ["agent token", "bootstrap token", "kubelet", "kube-proxy"])
def test_the_keys_of_the_cluster_are_for_servers(
    attacker: Attacker, credentials: dict[str, Credential], credential: str
) -> None:
    answer = attacker.one("GET /v1-rke2/server-bootstrap", credentials[credential])
    assert answer.status in REFUSALS
    assert b"PRIVATE KEY" not in answer.received


def test_figures_of_every_node_for_whom_rbac_lets(attacker: Attacker, pair: Members) -> None:
    """A ServiceAccount reads what servers and agents tell, once a role lets it, and not before."""
    token = pair.kubectl("--namespace", "default", "create", "token", "default").strip()
    by = Credential("monitoring", f"Bearer {token}")
    addresses = {node.host.name: node.host.address for node in pair.nodes}
    assert len(addresses) == 2
    for address in addresses.values():
        assert Attacker(attacker.host, address).one("GET /metrics", by).status == 403
    pair["server-0"].node.host.exec(
        ["kubectl", "apply", "--filename", "-"], input=READER, check=True, timeout=60
    )
    for name, address in addresses.items():
        told = eventually(
            partial(Attacker(attacker.host, address).one, "GET /metrics", by),
            "the role is known",
            ok=lambda answer: answer.status == 200,
        )
        found = {each.name for each in text_string_to_metric_families(told.body.decode())}
        assert {"rke2_ready", "rke2_certificate_expiration_seconds", "rke2_tunnel_connected"} <= found
        one_side = "rke2_tunnel_sessions" if name == "server-0" else "rke2_loadbalancer_server_health"
        assert one_side in found
