"""Servers exchange the key of Secrets ten times in a row, with a fault in the middle of each exchange.

``python -m tests.soak.rotations [--times 10] [--servers 3] [--weight PROCESSES]``. The command is given to each server
in turn. When the new key is there, or encrypts already, one of the faults happens; then the command is repeated until
it has nothing left to do. Fails if that takes too long, if the servers end with other keys than one new one, or if any
API server does not give every Secret back. ``--weight``: a host counts as much as so many processes beside it.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rke2_lab.lab import Lab
from tests.cluster import workload
from tests.cluster.eventually import eventually
from tests.cluster.keys.test_three_servers import NAMES, fill, key_names, rotate, status, unreadable
from tests.cluster.members import Members
from tests.cluster.restart.server import Server
from tests.soak.share import weigh

GOES_ON_SECONDS = 600.0
CUT_SECONDS = 20.0
FOLLOW_SECONDS = 20.0
"""Far above what servers take to follow: three seconds."""
_DOWN_SECONDS = 5.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        lab = Lab(Path(scratch) / "lab", f"soak{os.getpid()}")
        try:
            members = Members(lab, workload.write_archive(Path(scratch) / "workload.tar"))
            for name in NAMES[: options.servers]:
                server = members.place(name, "server")
                weigh(server.node.host, options.weight)
                members.boot(server)
            fill(members["server-0"].node)
            seconds = [_round(members, number) for number in range(options.times)]
            print(f"{len(seconds)} of {options.times}, median {statistics.median(seconds):.0f} s")
        finally:
            lab.down()


def _kill_the_leaders_rke2(members: Members, asked: Server) -> None:
    leader = members.etcd_leader()
    leader.kill()
    time.sleep(_DOWN_SECONDS)
    leader.start()
    members.until_ready(leader)


def _kill_an_apiserver(members: Members, asked: Server) -> None:
    assert _other(members, asked).node.host.signal("kube-apiserver", signal.SIGKILL)


def _kill_the_asked_apiserver(members: Members, asked: Server) -> None:
    assert asked.node.host.signal("kube-apiserver", signal.SIGKILL)


def _cut_a_server_off(members: Members, asked: Server) -> None:
    other = _other(members, asked).node.host
    other.cut()
    time.sleep(CUT_SECONDS)
    other.heal()


Fault = Callable[[Members, Server], None]
ALONE: dict[str, Fault] = {
    "the rke2 of etcd's leader is killed": _kill_the_leaders_rke2,
    "the API server of the server that was asked is killed": _kill_the_asked_apiserver,
}
"""What may happen to one server."""
AMONG_OTHERS: dict[str, Fault] = {
    "another server's API server is killed": _kill_an_apiserver,
    "another server is cut off": _cut_a_server_off,
}


def _other(members: Members, asked: Server) -> Server:
    """The server behind the one that was asked."""
    servers = members.servers
    return servers[(servers.index(asked) + 1) % len(servers)]


def _round(members: Members, number: int) -> float:
    """One exchange; its seconds, from the first command to one new key on all servers."""
    servers = members.servers
    faults = ALONE | (AMONG_OTHERS if len(servers) > 1 else {})
    asked = servers[number % len(servers)]
    what, fault = list(faults.items())[number % len(faults)]
    (former,) = key_names(asked.node)
    started = time.monotonic()
    command = asked.node.popen(asked.node.command("secrets-encrypt", "rotate-keys"))
    # In turn: the new key is there to read with; it is the one that encrypts.
    promoted = number // len(faults) % 2 == 1
    eventually(lambda: _new_key(asked, former, first=promoted), "the new key is there", 180, poll=0.05)
    fault(members, asked)
    code = command.wait(GOES_ON_SECONDS)
    tries = _repeat(members, asked, former)
    seconds = time.monotonic() - started
    lost = {each.node.host.name: found for each in servers if (found := unreadable(each.node))}
    assert not lost, f"Secrets that an API server does not give back: {lost}"
    when = "encrypts" if promoted else "is there"
    print(
        f"{number + 1}: {seconds:.0f} s, {what} when the new key {when}; ended with {code}, {tries} more",
        flush=True,
    )
    return seconds


def _new_key(asked: Server, former: str, *, first: bool) -> bool:
    names = key_names(asked.node)
    return len(names) == 2 and (not first or names[0] != former)


def _repeat(members: Members, asked: Server, former: str) -> int:
    """Give the command until all servers have one new key; how often."""
    give_up, tries = time.monotonic() + GOES_ON_SECONDS, 0
    while not _becomes_whole(members, former, give_up):
        assert time.monotonic() < give_up, f"stuck: {[status(each.node) for each in members.servers]}"
        rotate(asked.node)
        tries += 1
    return tries


def _becomes_whole(members: Members, former: str, give_up: float) -> bool:
    """Whether all have one new key once who is still at it has ended, and the others had time to follow."""
    settled = time.monotonic() + FOLLOW_SECONDS
    while time.monotonic() < settled or (_is_under_way(members) and time.monotonic() < give_up):
        if _whole(members, former):
            return True
        time.sleep(1)
    return False


def _is_under_way(members: Members) -> bool:
    return any(status(each.node).get("stage") == "reencrypt_active" for each in members.servers)


def _whole(members: Members, former: str) -> bool:
    names = [key_names(each.node) for each in members.servers]
    said = [status(each.node) for each in members.servers]
    finished = all(each.get("stage") == "reencrypt_finished" and each.get("hashmatch") for each in said)
    return (
        finished and len(names[0]) == 1 and all(each == names[0] for each in names) and names[0][0] != former
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--servers", type=int, default=len(NAMES), choices=(1, len(NAMES)))
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    return parser.parse_args()


if __name__ == "__main__":
    main()
