"""One node of a server and an agent has a fault for a while: nothing ends, and what works in spite of it goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from rke2.config.paths import Paths
from tests.cluster.agents.clocks import FAKETIME, faked, set_clock
from tests.cluster.eventually import eventually
from tests.cluster.high_availability.load import calling
from tests.cluster.members import Members

pytestmark = pytest.mark.long

HEALED_SECONDS = 30.0
LOST_PERCENT = 5
FAULT_SECONDS = 40.0
HANG_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _all_goes_on(pair: Members) -> Iterator[None]:
    pair.until_node_ready("agent-0", 60)
    yield
    for member in pair:
        assert member.running, f"rke2 on {member.node.host.name} has ended"
        assert "Traceback" not in member.node.log.read_text(errors="replace")
    pair.until_node_ready("agent-0", HEALED_SECONDS)
    eventually(lambda: pair.ask_kubelet("agent-0") == "ok", "the tunnel serves", HEALED_SECONDS)


@pytest.mark.parametrize("who", ["agent-0", "server-0"])
def test_packets_are_lost(pair: Members, who: str) -> None:
    """The node stays Ready, and TCP sees to it that nearly every call is answered."""
    pair[who].node.host.lose(LOST_PERCENT)
    try:
        with calling(pair["agent-0"]) as load:
            end = time.monotonic() + FAULT_SECONDS
            while time.monotonic() < end:
                assert pair.readiness("agent-0") in ("True", "")
                time.sleep(2)
        assert len(load.failures) < load.calls / 20, str(load)
        eventually(lambda: pair.ask_kubelet("agent-0") == "ok", "the tunnel serves", 30)
    finally:
        pair[who].node.host.lose(0)


@pytest.mark.parametrize(
    ("who", "program"), [("agent-0", "rke2"), ("server-0", "rke2"), ("server-0", "kube-apiserver")]
)
def test_a_program_hangs(pair: Members, who: str, program: str) -> None:
    """SIGSTOP: its sockets stay open, and nothing answers."""
    host, pid = pair[who].node.host, pair[who].status().pid
    if program == "rke2":
        name = host.path(f"/proc/{pid}/comm").read_text().strip()
        assert host.exec(["kill", "-STOP", str(pid)]).returncode == 0, name
    else:
        assert host.signal(program, signal.SIGSTOP) == 1
    try:
        time.sleep(HANG_SECONDS)
        assert pair.ask_kubelet("agent-0") != "ok", "control: the way is blocked"
    finally:
        if program == "rke2":
            host.exec(["kill", "-CONT", str(pid)], check=True)
        else:
            host.signal(program, signal.SIGCONT)


def test_the_disk_of_an_agent_is_full(pair: Members) -> None:
    """The one its rke2 keeps settings, lists and status on: it works on, and says so."""
    agent = pair["agent-0"]
    agent.terminate()
    agent.until_childless()
    etc = Paths().agent_etc
    host = agent.node.host
    kept = host.exec(["tar", "-C", str(etc), "-cf", "/var/log/etc.tar", "."]).returncode
    assert kept == 0
    host.small_disk(etc, 1)
    host.exec(["tar", "-C", str(etc), "-xf", "/var/log/etc.tar"], check=True)
    host.exec(["sh", "-c", f"cat /dev/zero > {etc}/filler"])
    try:
        agent.start()
        eventually(lambda: agent.status().error or agent.report()[0] == 0, "it works or says why not", 120)
        if agent.running:
            assert pair.ready("agent-0")
        else:
            assert "space" in agent.status().error, agent.status().error
    finally:
        if agent.running:
            agent.terminate()
            agent.until_childless()
        host.exec(["umount", str(etc)], check=True)
        agent.start()
        pair.until_ready(agent)


@pytest.mark.parametrize("who", ["server-0", "agent-0"])
def test_the_clock_jumps(pair: Members, who: str) -> None:
    """Of rke2 alone: an hour forwards, then to an hour before the truth.

    Deadlines, leases and retries must not depend on it.
    """
    member, reported = pair[who], pair.heartbeat(who)
    member.terminate()
    member.until_childless()
    set_clock(member.node, "+0")
    member.start(faked(member.node))
    try:
        pair.until_ready(member)
        maps = member.node.host.path(f"/proc/{member.status().pid}/maps").read_text()
        assert FAKETIME.name in maps, "control: its clock is ours"
        # A kubelet that has just started may report that its runtime is not ready yet.
        eventually(lambda: pair.heartbeat(who) != reported, "the new kubelet reports", 60)
        pair.until_node_ready(who)
        for offset in ("+1h", "-1h"):
            set_clock(member.node, offset)
            end = time.monotonic() + FAULT_SECONDS
            while time.monotonic() < end:
                assert member.running
                assert pair.readiness("agent-0") in ("True", ""), offset
                time.sleep(2)
            eventually(lambda: pair.ask_kubelet("agent-0") == "ok", "the tunnel serves", 30)
    finally:
        member.terminate()
        member.until_childless()
        member.start()
        pair.until_ready(member)
