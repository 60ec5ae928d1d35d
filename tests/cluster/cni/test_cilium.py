"""``cni: cilium`` without kube-proxy, on one server; with kube-proxy and two nodes: tests/cluster/agents/cni."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.charts.packing import helm_chart_config
from tests.cluster.dns.asking import ANSWER, ASKED, ask, count
from tests.cluster.eventually import eventually
from tests.cluster.http import fetch
from tests.cluster.manifest_files import Manifests
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import boot_server
from tests.cluster.objects import PORT, Object, pod, service, web

pytestmark = pytest.mark.long

CONFIG = "cni: cilium\ndisable-kube-proxy: true\n"
REDIRECTING = """
localRedirectPolicies: {enabled: true}
rollOutCiliumPods: true
operator: {rollOutPods: true}
"""
CACHING = "nodelocal: {enabled: true, use_cilium_lrp: true}\n"


@pytest.fixture(scope="module")
def server(lab: Lab, workload_archive: Path) -> Iterator[LabNode]:
    yield boot_server(lab, "with-cilium", workload_archive, CONFIG, "cilium")
    lab.remove_host("with-cilium")


def test_cilium_serves_services(server: LabNode) -> None:
    namespace = Namespace.create(server, "cilium")
    namespace.apply(web("site"), service("site", "site", type="NodePort"), pod("client"))
    namespace.until("condition=Ready", "pod/site", "pod/client")
    found = namespace.find("service", "site")["spec"]
    node_port = f"{server.host.address}:{found['ports'][0]['nodePort']}"
    for url in (found["clusterIP"], "site", node_port):
        eventually(partial(fetch, namespace, "client", url), f"{url} answers", 30, ok="site".__eq__)


def test_there_is_no_kube_proxy(server: LabNode) -> None:
    pods = server.kubectl("get", "pods", "--namespace", "kube-system", "--output", "name").stdout
    assert "cilium-" in pods
    assert "kube-proxy" not in pods
    assert "KUBE-SVC" not in server.host.exec(["iptables-save"]).stdout


def test_it_leads_questions_to_the_dns_cache_of_the_node(server: LabNode) -> None:
    manifests = Manifests(server)
    manifests.put("rke2-cilium-config.yaml", helm_chart_config("rke2-cilium", REDIRECTING))
    manifests.put("rke2-coredns-config.yaml", helm_chart_config("rke2-coredns", CACHING))
    # Not before Cilium knows such policies: until then its job fails and is tried again.
    manifests.system.until_exists("daemonset", "node-local-dns", 180)
    for daemonset in ("cilium", "node-local-dns"):
        manifests.system.kubectl("rollout", "status", f"daemonset/{daemonset}", "--timeout=120s", timeout=150)
    (cache,) = manifests.system.list("pods", "--selector", "k8s-app=node-local-dns")
    cache_address = cache["status"]["podIP"]
    asker = Namespace.create(server, "asker")
    asker.apply(pod("asker"))
    asker.until("condition=Ready", "pod/asker")

    def asked() -> float:
        assert ANSWER in ask(asker, "asker")
        return count(server.host, ASKED, cache_address, "0.0.0.0")

    before = asked()
    eventually(asked, "the cache is asked", 60, ok=lambda after: after >= before + 1)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {
                "ingress": [
                    {"toPorts": [{"ports": [{"port": str(PORT)}], "rules": {"http": [{"path": "/"}]}}]}
                ]
            },
            "needs Cilium's layer 7 proxy, which is off",
        ),
        ({"egress": [{"toFQDNs": [{"matchName": "example.com"}]}]}, "toFQDNs needs Cilium's DNS proxy"),
    ],
)
def test_a_policy_that_would_fail_open_is_refused(server: LabNode, rule: Object, words: str) -> None:
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "open"},
        "spec": {"endpointSelector": {}, **rule},
    }
    refused = Namespace(server, "default").attempt("apply", "--filename", "-", input=json.dumps(policy))
    assert refused.returncode == 1
    assert words in refused.stderr
    assert "denied request" in refused.stderr
