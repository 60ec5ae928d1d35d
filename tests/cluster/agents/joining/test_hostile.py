"""What a hostile client of port 9345 is answered, and that the server is as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.restart.server import Server

_HOSTILE = Path(__file__).with_name("hostile.py")
GROWTH_MEBIBYTES = 40.0
"""What 200 connections at a time cost (60 KiB each, more during their handshakes) and the allocator may keep."""
LEAK_MEBIBYTES = 15.0
"""How much more the same attack may cost the second time."""


def attack(members: Members, name: str) -> str:
    """Run one of `tests.cluster.agents.joining.hostile` on the agent."""
    arguments = [name, members["server-0"].node.host.address, AGENT_TOKEN]
    # As text: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
    host = members["agent-0"].node.host
    done = host.exec([host.python, "-c", _HOSTILE.read_text(), *arguments], timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _mebibytes(server: Server) -> float:
    status = server.node.host.path(f"/proc/{server.status().pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _descriptors(server: Server) -> int:
    return len(list(server.node.host.path(f"/proc/{server.status().pid}/fd").iterdir()))


@pytest.fixture(autouse=True)
def _server_stays_as_it_was(pair: Members) -> Iterator[None]:
    pair.until_node_ready("agent-0", 60)
    server = pair["server-0"]
    memory, descriptors = _mebibytes(server), _descriptors(server)
    yield
    assert server.running
    assert _mebibytes(server) < memory + GROWTH_MEBIBYTES
    eventually(lambda: _descriptors(server) <= descriptors + 5, "no connection is left over", 60)
    assert pair.get("agent-0", f"https://{server.node.host.address}:9345/ping") == "pong"
    assert pair.ready("agent-0")
    assert "Traceback" not in server.node.log.read_text(errors="replace")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("wrong", "401"),
        ("anonymous", "403"),
        ("not_a_server", "403"),
        ("oversized", "413"),
        ("endless", "413"),
    ],
)
def test_requests_that_are_refused(pair: Members, name: str, answer: str) -> None:
    for _ in range(5):
        assert attack(pair, name) == answer


def test_garbage_in_the_tunnel_ends_that_session_only(pair: Members) -> None:
    assert attack(pair, "garbage") == "10"
    eventually(
        lambda: pair.ask_kubelet("agent-0") == "ok",
        "the real tunnel serves",
        60,
    )


@pytest.mark.long
def test_clients_that_take_no_answer_are_ended(pair: Members) -> None:
    assert attack(pair, "deaf") == "50 of 50"
    before = _mebibytes(pair["server-0"])
    assert attack(pair, "deaf") == "50 of 50"
    assert _mebibytes(pair["server-0"]) < before + LEAK_MEBIBYTES


def test_slow_clients_are_ended_and_hold_nobody_up(pair: Members) -> None:
    assert attack(pair, "slow") == "200 of 200"
    before = _mebibytes(pair["server-0"])
    assert attack(pair, "slow") == "200 of 200"
    assert _mebibytes(pair["server-0"]) < before + LEAK_MEBIBYTES
