"""A cache on every node answers in the place of CoreDNS: switched on and off again while names are asked for."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rke2_lab.node import LabNode
from tests.cluster.charts.packing import helm_chart_config
from tests.cluster.dns.asking import ANSWER, ASKED, CACHED, NAME, ask, count
from tests.cluster.eventually import eventually
from tests.cluster.manifest_files import Manifests
from tests.cluster.namespace import Namespace
from tests.cluster.objects import pod

CACHE = "node-local-dns"
CONFIG = "rke2-coredns-config.yaml"
OWN_ADDRESS = "169.254.20.10"
CLUSTER_ADDRESS = "10.43.0.10"
INSTALLED_SECONDS = 120
BACK_SECONDS = 30

ASK_ON = f"""
while true; do
    timeout 4 nslookup {NAME} >/tmp/answer 2>&1 || cat /tmp/answer >>/tmp/failed
    echo >>/tmp/asked
    sleep 0.05
done
"""


@dataclass(frozen=True)
class Cache:
    """The node's cache, and a pod that asks."""

    node: LabNode
    namespace: Namespace
    system: Namespace

    def ask(self, server: str = "") -> str:
        """What the pod is told about `NAME`, by its own server if none is named."""
        return ask(self.namespace, "asker", server)

    def forget(self) -> None:
        """Forget what was asked so far."""
        self.namespace.exec("always", "sh", "-c", "rm -f /tmp/failed /tmp/asked")

    def all_were_answered(self) -> None:
        """Fail unless `ASK_ON` was answered every time."""
        asked = self.namespace.exec("always", "cat", "/tmp/asked").stdout.count("\n")
        failed = self.namespace.exec("always", "cat", "/tmp/failed").stdout
        assert asked > 20
        assert failed == "", f"{asked} asked"

    def count(self, metric: str) -> float:
        """A metric for questions to the address of the cluster's DNS."""
        return count(self.node.host, metric, self.node.host.address, CLUSTER_ADDRESS)

    def traces(self) -> tuple[str, str]:
        """What of its interface and of its rules the host has."""
        link = self.node.host.exec(["ip", "-o", "link", "show", "nodelocaldns"]).stdout
        rules = self.node.host.exec(["iptables-save"], check=True).stdout
        return link, "\n".join(line for line in rules.splitlines() if "NodeLocal" in line)


@pytest.fixture(scope="module")
def cache(cluster: LabNode, namespace: Namespace) -> Iterator[Cache]:
    namespace.apply(pod("asker"), pod("always", ["sh", "-c", ASK_ON]))
    namespace.until("condition=Ready", "pod/asker", "pod/always")
    manifests = Manifests(cluster)
    manifests.put(CONFIG, helm_chart_config("rke2-coredns", "nodelocal: {enabled: true}"))
    try:
        manifests.system.until_exists("daemonset", CACHE, INSTALLED_SECONDS)
        manifests.system.kubectl("rollout", "status", f"daemonset/{CACHE}")
        made = Cache(cluster, namespace, manifests.system)
        eventually(made.traces, "the rules are there", BACK_SECONDS, ok=lambda traces: traces[1])
        yield made
    finally:
        manifests.remove_all()
        manifests.system.until_gone("daemonset", CACHE, INSTALLED_SECONDS)


def test_no_question_is_lost_when_it_is_switched_on(cache: Cache) -> None:
    cache.all_were_answered()


def test_pods_are_answered_by_the_cache(cache: Cache) -> None:
    asked, cached = cache.count(ASKED), cache.count(CACHED)
    for _ in range(3):
        assert ANSWER in cache.ask()
    assert cache.count(ASKED) >= asked + 3
    assert cache.count(CACHED) >= cached + 2


def test_it_answers_on_its_own_address(cache: Cache) -> None:
    assert ANSWER in cache.ask(OWN_ADDRESS)


def test_questions_are_not_tracked(cache: Cache) -> None:
    """Neither the table of connections nor kube-proxy's rules see them."""
    _, rules = cache.traces()
    for address in (OWN_ADDRESS, CLUSTER_ADDRESS):
        assert re.search(rf"-A PREROUTING -d {address}/32 -p udp .*--dport 53 .*NOTRACK", rules), rules


def test_no_question_is_lost_when_it_is_replaced(cache: Cache) -> None:
    cache.forget()
    cache.system.kubectl("rollout", "restart", f"daemonset/{CACHE}")
    cache.system.kubectl("rollout", "status", f"daemonset/{CACHE}")
    cache.all_were_answered()


def test_a_killed_one_is_back(cache: Cache) -> None:
    assert cache.node.host.signal("node-cache", signal.SIGKILL) == 1
    eventually(cache.ask, "names are resolved", BACK_SECONDS, ok=lambda answer: ANSWER in answer)


def test_z_switched_off_it_leaves_nothing_and_loses_nothing(cache: Cache) -> None:
    cache.forget()
    Manifests(cache.node).remove(CONFIG)
    cache.system.until_gone("daemonset", CACHE, INSTALLED_SECONDS)
    eventually(cache.traces, "interface and rules are gone", BACK_SECONDS, ok=lambda traces: not any(traces))
    assert ANSWER in cache.ask()
    cache.all_were_answered()
