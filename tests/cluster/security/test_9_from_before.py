"""A cluster of an older release, started by this one, loses what was too much and gains what was missing, unnoticed."""

from __future__ import annotations

from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.security.before import leave_as_before, lost, ready_since, until_as_now, workload


def test_a_cluster_of_an_older_release(pair: Members) -> None:
    leave_as_before(pair)
    containers, ready = workload(pair), ready_since(pair)
    assert all(ready.values())
    for member in pair:
        assert member.terminate() == 0
        member.until_childless()
    pair["server-0"].start()
    pair["agent-0"].start({"RKE2_TOKEN": AGENT_TOKEN})
    pair.until_ready()
    until_as_now(pair)
    assert lost(pair, ready) == []
    assert workload(pair) == containers
