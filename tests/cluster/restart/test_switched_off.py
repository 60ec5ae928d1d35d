"""A machine that lost its power, and comes back when all its certificates have expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.restart.containers import Container, restart_counts, running_containers
from tests.cluster.restart.expiry import expire, leaves
from tests.cluster.restart.server import Server

ORDER = ("etcd", "kube-apiserver")
AFTER_APISERVER = ("kube-controller-manager", "kube-scheduler", "kube-proxy")
MONTH = timedelta(days=30)


def test_everything_comes_back_in_order(server: Server) -> None:
    host, paths = server.node.host, Paths()
    before, restarts = running_containers(server.node), restart_counts(server.node)
    secret = ["create", "secret", "generic", "kept", "--from-literal=key=value"]
    assert server.node.kubectl(*secret).returncode == 0

    host.stop()
    tls, agent = host.path(paths.tls), host.path(paths.agent)
    assert expire(tls, agent) > 15
    host.start()
    server.start()
    server.until_ready()

    for leaf in leaves(tls, agent):
        assert leaf.first.not_valid_after_utc > datetime.now(UTC) + MONTH, leaf.path
    eventually(
        lambda: {(c.pod, c.name) for c in running_containers(server.node)},
        "every container runs again",
        ok=lambda running: running == {(c.pod, c.name) for c in before},
    )
    after = running_containers(server.node)
    assert {c.id for c in after} & {c.id for c in before} == set()
    assert _created(after, "etcd") < _created(after, "kube-apiserver")
    assert all(_created(after, "kube-apiserver") < _created(after, name) for name in AFTER_APISERVER)
    counted = restart_counts(server.node)
    assert {
        name: count - restarts[name] for name, count in counted.items() if count > restarts[name] + 1
    } == {}
    kept = server.node.kubectl("get", "secret", "kept", "--output", "jsonpath={.data.key}")
    assert kept.stdout == "dmFsdWU="
    assert server.node.kubectl("delete", "secret", "kept").returncode == 0


def _created(containers: frozenset[Container], name: str) -> int:
    return next(int(container.created) for container in containers if container.name == name)
