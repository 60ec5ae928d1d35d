"""``cni: calico`` on one server, the short form of tests/cluster/agents/cni: it boots, pods talk, a policy blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.agents.cni.networks import NETWORKS
from tests.cluster.eventually import eventually
from tests.cluster.http import TIMED_OUT, fetch
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import boot_server
from tests.cluster.objects import PORT, pod, web

CALICO = next(network for network in NETWORKS if network.name == "calico")


@pytest.fixture(scope="module")
def server(lab: Lab, workload_archive: Path) -> Iterator[LabNode]:
    yield boot_server(lab, "with-calico", workload_archive, "cni: calico\n", "calico")
    lab.remove_host("with-calico")


def test_pods_talk_until_a_policy_of_calico_blocks_them(server: LabNode) -> None:
    namespace = Namespace.create(server, "calico")
    namespace.apply(web("guarded"), pod("friend", labels={"role": "friend"}), pod("stranger"))
    namespace.until("condition=Ready", "pod/guarded", "pod/friend", "pod/stranger")
    url = f"{namespace.find('pod', 'guarded')['status']['podIP']}:{PORT}"

    def until(client: str, answer: str) -> None:
        eventually(lambda: fetch(namespace, client, url), f"{client}: {answer}", 30, ok=answer.__eq__)

    until("stranger", "guarded")
    namespace.apply(CALICO.guard(namespace.name, True))
    until("stranger", TIMED_OUT)
    until("friend", "guarded")
    namespace.kubectl("delete", CALICO.policies, "--all")
    until("stranger", "guarded")


def test_only_calico_is_there(server: LabNode) -> None:
    charts = server.kubectl("get", "helmcharts", "--namespace", "kube-system", "--output", "name").stdout
    assert "rke2-calico\n" in charts
    assert "canal" not in charts
    links = server.host.exec(["ip", "-o", "link"]).stdout
    assert "flannel" not in links
    assert "cali" in links
