"""All servers lose their power at the same moment, and are switched on again in any order."""

from __future__ import annotations

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.members import Members

pytestmark = pytest.mark.long

ORDERS = [
    pytest.param((2, 1, 0), id="backwards"),
    pytest.param((1, 2, 0), id="first-comes-last"),
    pytest.param((0, 1, 2), id="forwards"),
]


@pytest.mark.parametrize("order", ORDERS)
def test_all_off_and_on_again(whole: Members, order: tuple[int, ...]) -> None:
    kept = ("configmap", f"kept-{order[0]}{order[1]}")
    assert whole.kubectl("create", *kept, "--from-literal=key=value")
    for server in whole.servers:
        server.node.host.stop()
    servers = [whole[f"server-{number}"] for number in order]
    servers[0].node.host.start()
    servers[0].start()
    eventually(
        lambda: servers[0].phase("etcd").state, "the first one waits for the others", 120, ok="running".__eq__
    )
    for server in servers[1:]:
        server.node.host.start()
        server.start()
    whole.until_ready(*servers)
    for member in whole:
        whole.until_node_ready(member.node.host.name)
    assert whole.kubectl("delete", *kept), "it is still there"
    assert whole.voters() == {"server-0", "server-1", "server-2"}
