"""A server that is lost, hangs or is slow costs agents a moment and nothing else."""

from __future__ import annotations

import signal
import time

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.high_availability.load import Load, calling
from tests.cluster.members import Members

pytestmark = pytest.mark.long

WINDOW_SECONDS = 60.0
"""Far above the fail-over windows (see docs/performance.md): etcd elects after 5 to 10 s, a tunnel's pings tell the
load balancer of a dead peer."""


def _measured(load: Load, fault: float, name: str) -> float:
    window = load.window(fault)
    print(f"fail-over window, {name}: {window:.1f} s; {load}")
    return window


def test_the_leader_loses_power_under_load(whole: Members) -> None:
    leader = whole.etcd_leader()
    others = [server for server in whole.servers if server is not leader]
    with calling(whole["agent-0"]) as load:
        fault = time.time()
        leader.node.host.stop()
        load.until_quiet(fault, WINDOW_SECONDS)
        by = others[0].node.host.name
        whole.until_missed(leader.node.host.name, 90, by=by)
        assert whole.ready("agent-0", by=by)
    assert _measured(load, fault, "power of the leader") < WINDOW_SECONDS, str(load)
    leader.node.host.start()
    leader.start()
    whole.until_ready(leader)


def test_the_leaders_rke2_is_killed_under_load(whole: Members) -> None:
    """Its API server and etcd live on; agents lose their tunnel to it, no call fails for long."""
    leader = whole.etcd_leader()
    with calling(whole["agent-0"]) as load:
        fault = time.time()
        leader.kill()
        load.until_quiet(fault, WINDOW_SECONDS)
        leader.until_childless()
        leader.start()
        whole.until_ready(leader)
    assert _measured(load, fault, "rke2 of the leader killed") < WINDOW_SECONDS, str(load)


def test_the_leader_hangs_under_load(whole: Members) -> None:
    leader = whole.etcd_leader()
    with calling(whole["agent-0"]) as load:
        fault = time.time()
        leader.node.host.freeze()
        load.until_quiet(fault, WINDOW_SECONDS)
        leader.node.host.thaw()
        load.until_quiet(time.time(), WINDOW_SECONDS)
    assert _measured(load, fault, "the leader hangs") < WINDOW_SECONDS, str(load)
    whole.until_node_ready(leader.node.host.name)


def test_a_slow_etcd_ends_nothing(whole: Members) -> None:
    """etcd of every server stands still for longer than every lease of the control plane lives."""
    for server in whole.servers:
        assert server.node.host.signal("etcd", signal.SIGSTOP) == 1
    try:
        time.sleep(30)
        assert whole.kubectl("get", "node", "agent-0") == "", "control: nothing is answered"
        assert [member for member in whole if not member.running] == []
        report = whole["server-0"].report()[1]
        assert report["ready"] is False
        assert report["waitingFor"]
    finally:
        for server in whole.servers:
            server.node.host.signal("etcd", signal.SIGCONT)
    for member in whole:
        whole.until_node_ready(member.node.host.name, 120)
    eventually(lambda: whole["server-0"].report()[0] == 0, "server-0 is ready by its own word", 120)
