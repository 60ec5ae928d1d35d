"""An operator changes an argument of etcd or kube-apiserver and restarts rke2: the API is back in seconds."""

from __future__ import annotations

import pytest

from tests.cluster.restart.changing import another, restart
from tests.cluster.restart.containers import running_containers
from tests.cluster.restart.server import Server

STALL_SECONDS = 45
"""Far above what a restart takes (9 s), far below what a kubelet that knew two pods of one name took."""


@pytest.mark.parametrize(
    ("arguments", "frozen"),
    [
        pytest.param(("etcd-arg", "kube-apiserver-arg"), 0.0, id="both"),
        pytest.param(("etcd-arg",), 5.0, id="etcd, the kubelet gets no CPU at first"),
    ],
)
def test_a_changed_argument_stalls_nothing(server: Server, arguments: tuple[str, ...], frozen: float) -> None:
    before = {each.pod: each.id for each in running_containers(server.node)}
    seen = restart(server, another(*arguments), frozen=frozen)
    print(seen)
    assert seen.healthy < STALL_SECONDS
    assert sum(seen.away) < STALL_SECONDS / 2
    assert seen.backed_off == frozenset()

    after = {each.pod: each.id for each in running_containers(server.node)}
    changed = {
        pod.removesuffix(f"-{server.node.host.name}") for pod in before if after.get(pod) != before[pod]
    }
    assert {f"{name}-arg" for name in changed} >= set(arguments)
    assert not changed & {"kube-proxy", "rke2-canal"}, changed


def test_the_same_arguments_touch_nothing(server: Server) -> None:
    settings = another("etcd-arg", "kube-apiserver-arg")
    restart(server, settings)
    containers = running_containers(server.node)
    seen = restart(server, settings)
    assert seen.away == []
    assert running_containers(server.node) == containers
