"""What the certificates of nodes may do at the API server, and which ports of a node answer to others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.cluster.members import Members
from tests.cluster.security.wire import NOBODY, Ask, Attacker, Credential, table

# --- identities --------------------------------------------------------------------------------------
IDENTITIES: dict[str, tuple[str, ...]] = {
    "system:anonymous": ("system:unauthenticated",),
    "system:bootstrap:5ec0de": ("system:bootstrappers", "system:bootstrappers:rke2:default-node-token"),
    "system:node:agent-0": ("system:nodes",),
    "system:kube-proxy": (),
    "system:rke2-controller": (),
}
"""Who an agent, or somebody with what it has on its disk, may be to the API server; with the groups."""

FORBIDDEN: tuple[tuple[str, str, str, str, str], ...] = (
    # verb, group, resource, namespace, name
    ("create", "", "serviceaccounts/token", "kube-system", "default"),
    ("create", "", "serviceaccounts/token", "kube-system", "helm-rke2-coredns"),
    ("create", "", "serviceaccounts/token", "default", "default"),
    ("get", "", "secrets", "kube-system", "rke2-serving"),
    ("get", "", "secrets", "kube-system", "agent-0.node-password.rke2"),
    ("list", "", "secrets", "", ""),
    ("list", "", "configmaps", "", ""),
    ("create", "", "secrets", "kube-system", ""),
    ("delete", "", "secrets", "kube-system", "server-0.node-password.rke2"),
    ("create", "", "pods/exec", "kube-system", "etcd-server-0"),
    ("get", "", "nodes/proxy", "", "server-0"),
    ("create", "", "nodes/proxy", "", "server-0"),
    ("patch", "", "nodes", "", "server-0"),
    ("delete", "", "nodes", "", "server-0"),
    ("impersonate", "", "users", "", "system:admin"),
    ("impersonate", "", "groups", "", "system:masters"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", "view"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "cluster-admin"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", ""),
    ("create", "helm.cattle.io", "helmcharts", "kube-system", ""),
    ("patch", "helm.cattle.io", "helmchartconfigs", "kube-system", "rke2-coredns"),
    ("create", "k3s.cattle.io", "addons", "kube-system", ""),
    ("approve", "certificates.k8s.io", "signers", "", "kubernetes.io/kube-apiserver-client"),
    ("create", "apps", "deployments", "kube-system", ""),
    ("create", "", "pods", "kube-system", ""),
    ("*", "*", "*", "", ""),
)

LEFT_TO_ADMISSION = {("system:node:agent-0", "create", "pods"), ("system:node:agent-0", "patch", "nodes")}
"""What a kubelet may do to its own Node and pods only, which is for NodeRestriction to see, not for authorization."""


def reviews(user: str, groups: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for verb, group, resource, namespace, name in FORBIDDEN:
        kind, _, sub = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": kind, "subresource": sub}
        asked |= {"namespace": namespace, "name": name}
        everybody = () if user == "system:anonymous" else ("system:authenticated",)
        spec = {"user": user, "groups": [*groups, *everybody], "resourceAttributes": asked}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        yield (user, verb, resource, namespace, name), review


def test_what_agents_hold_is_no_administrator(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    cases = [case for user, groups in IDENTITIES.items() for case in reviews(user, groups)]
    line = "POST /apis/authorization.k8s.io/v1/subjectaccessreviews"
    kind = {"Content-Type": "application/json"}
    asks = [Ask(line, credentials["admin"], kind, json.dumps(body).encode(), port=6443) for _, body in cases]
    answers = attacker.ask(*asks, at_once=4)
    assert {answer.status for answer in answers} == {201}
    allowed = [
        case
        for (case, _), answer in zip(cases, answers, strict=True)
        if json.loads(answer.body)["status"]["allowed"] and case[:3] not in LEFT_TO_ADMISSION
    ]
    assert not allowed, table(allowed)


API_PATHS = (
    "/api/v1/secrets",
    "/api/v1/namespaces/kube-system/secrets/server-0.node-password.rke2",
    "/api/v1/namespaces/kube-system/configmaps",
    "/api/v1/nodes/server-0/proxy/pods",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/metrics",
    "/logs/",
)


def test_certificates_of_an_agent_at_the_api_server(
    attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    """The real ones, so that this does not rest on a review alone."""
    holders = [
        NOBODY,
        *(credentials[name] for name in ("kubelet", "kube-proxy", "rke2-controller", "agent token")),
    ]
    asks = [Ask(f"GET {path}", by, port=6443) for by in holders for path in API_PATHS]
    served = [
        (ask.by.name, ask.line, answer)
        for ask, answer in zip(asks, attacker.ask(*asks, at_once=4), strict=True)
        if answer.status not in {401, 403}
    ]
    assert not served, table(served)
    assert attacker.one("GET /api/v1/secrets", credentials["admin"], port=6443).status == 200


def test_a_kubelet_changes_no_other_node(attacker: Attacker, credentials: dict[str, Credential]) -> None:
    kind, body = {"Content-Type": "application/merge-patch+json"}, b'{"metadata":{"labels":{"stolen":"yes"}}}'
    for path in ("/api/v1/nodes/server-0", "/api/v1/nodes/server-0/status"):
        answer = attacker.ask(Ask(f"PATCH {path}", credentials["kubelet"], kind, body, port=6443))[0]
        assert answer.status == 403, answer


def test_a_kubelet_gets_no_token_of_another_nodes_pods(
    pair: Members, attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    body = b'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}'
    kind = {"Content-Type": "application/json"}
    path = "/api/v1/namespaces/kube-system/serviceaccounts/default/token"
    for name in ("kubelet", "kube-proxy", "rke2-controller"):
        answer = attacker.ask(Ask(f"POST {path}", credentials[name], kind, body, port=6443))[0]
        assert answer.status == 403, (name, answer)


# --- ports -------------------------------------------------------------------------------------------
OPEN = {
    # port: statuses of an answer without credentials; empty where only a TLS client certificate is listened to
    9345: {403},
    6443: {401, 403},
    10250: {401, 403},
    2379: set(),
    2380: set(),
}
"""TCP ports of a node that answer to other machines, and what they answer to a request without credentials."""

_LISTENERS = ["ss", "--listening", "--tcp", "--numeric", "--no-header"]


def listeners(pair: Members, name: str) -> set[int]:
    """Ports of a node on which something listens that is not bound to loopback or a link's own address."""
    lines = pair[name].node.host.exec(_LISTENERS, check=True, timeout=30).stdout.splitlines()
    addresses = [line.split()[3].rpartition(":") for line in lines]
    return {
        int(port)
        for host, _, port in addresses
        if not host.strip("[]").startswith(("127.", "::1", "::ffff:127"))
    }


def test_no_other_port_answers_to_other_machines(pair: Members) -> None:
    assert listeners(pair, "server-0") == set(OPEN)
    assert listeners(pair, "agent-0") == {9345, 10250}, "its figures, as the cluster has supervisor-metrics"


def test_open_ports_ask_for_credentials(pair: Members) -> None:
    stranger = Attacker(pair["agent-0"].node.host, pair["server-0"].node.host.address)
    path = {9345: "/v1-rke2/config", 6443: "/api/v1/secrets", 10250: "/pods"}
    for port, statuses in OPEN.items():
        answer = stranger.ask(Ask(f"GET {path.get(port, '/')}", port=port))[0]
        assert answer.status in (statuses or {0}), (port, answer)


def test_an_agent_has_nothing_but_its_figures_on_9345(pair: Members) -> None:
    stranger = Attacker(pair["server-0"].node.host, pair["agent-0"].node.host.address)
    assert stranger.ask(Ask("GET /metrics"))[0].status == 401
    for line in ("GET /v1-rke2/config", "GET /v1-rke2/server-bootstrap", "CONNECT 127.0.0.1:10250", "GET /"):
        assert stranger.ask(Ask(line))[0].status == 404, line


def test_kubelets_take_no_certificate_of_an_agent(
    attacker: Attacker, credentials: dict[str, Credential]
) -> None:
    """What an agent has does not reach the kubelet of a server."""
    for name in ("kubelet", "kube-proxy", "rke2-controller", "scheduler"):
        for line in (
            "GET /pods",
            "GET /containerLogs/kube-system/x/x",
            "POST /run/kube-system/x/x",
            "GET /configz",
        ):
            answer = attacker.ask(Ask(line, credentials[name], port=10250))[0]
            assert answer.status == 403, (name, line, answer)
