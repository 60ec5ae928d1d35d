"""Faults that tests of clusters ask for: a host cannot tell them from real ones."""

from __future__ import annotations

import errno
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from tests.cluster.eventually import eventually

_LISTEN = (
    "import socket; s = socket.create_server(('', 4711)); print('ready', flush=True)\nwhile True: s.accept()"
)
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 4711), timeout=0.5).close()
    print("yes")
except OSError as error:
    print(error)
"""


DATAGRAMS = 1000
_SEND = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    s.sendto(b"x", (sys.argv[1], 4712))
    time.sleep(0.0005)
"""
_COUNT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("", 4712))
print("ready", flush=True)
sys.stdin.readline()
s.settimeout(0.5)
count = 0
try:
    while s.recv(10):
        count += 1
except TimeoutError:
    print(count)
"""


@pytest.fixture
def hosts(lab: Lab) -> Iterator[list[LabHost]]:
    """Three hosts that listen."""
    made = [lab.add_host(name) for name in ("a", "b", "c")]
    for host in made:
        listener = host.popen([host.python, "-c", _LISTEN], stdout=subprocess.PIPE)
        assert listener.stdout and listener.stdout.readline() == b"ready\n"
    yield made
    lab.down()


def _reaches(one: LabHost, other: LabHost) -> bool:
    done = one.exec([one.python, "-c", _CONNECT, other.address], timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout == "yes\n"


def _pairs(hosts: list[LabHost]) -> set[str]:
    """The pairs that reach each other, in both directions."""
    return {
        one.name + other.name
        for one in hosts
        for other in hosts
        if one.name < other.name and _reaches(one, other) and _reaches(other, one)
    }


def _become(hosts: list[LabHost], pairs: set[str]) -> None:
    """Wait until just these reach each other: the kernel takes a moment until it asks again who has an address."""
    eventually(lambda: _pairs(hosts), f"{pairs} reach each other", 20, ok=pairs.__eq__)


def test_a_cut_host_keeps_its_addresses_and_comes_back(hosts: list[LabHost]) -> None:
    before = hosts[0].exec(["ip", "-brief", "address", "show", "eth0"]).stdout
    hosts[0].cut()
    assert _pairs(hosts) == {"bc"}
    during = hosts[0].exec(["ip", "-brief", "address", "show", "eth0"]).stdout
    assert hosts[0].address in during and hosts[0].address6 in during
    hosts[0].heal()
    _become(hosts, {"ab", "ac", "bc"})
    eventually(
        lambda: hosts[0].exec(["ip", "-brief", "address", "show", "eth0"]).stdout == before, "the same", 20
    )


def test_a_second_card_is_a_network_of_its_own(hosts: list[LabHost]) -> None:
    for number, host in enumerate(hosts[:2], 1):
        host.attach("eth1", f"10.77.0.{number}/24", f"fd77::{number}/64")
    hosts[1].cut()
    for address in ("10.77.0.2", "fd77::2"):
        done = hosts[0].exec([hosts[0].python, "-c", _CONNECT, address], timeout=20)
        # Its listener is one of IPv4: a refusal came all the way, too.
        assert done.stdout == "yes\n" if "." in address else "refused" in done.stdout, done.stdout
    assert hosts[2].exec([hosts[2].python, "-c", _CONNECT, "10.77.0.2"], timeout=20).stdout != "yes\n"
    hosts[1].stop()
    hosts[1].start()
    assert "eth1" not in hosts[1].exec(["ip", "-brief", "link"]).stdout
    hosts[1].attach("eth1", "10.77.0.2/24")


def test_a_partition_separates_groups_with_their_links_up(lab: Lab, hosts: list[LabHost]) -> None:
    lab.partition(["a", "b"], ["c"])
    assert _pairs(hosts) == {"ab"}
    assert "NO-CARRIER" not in hosts[2].exec(["ip", "link", "show", "eth0"]).stdout
    lab.partition(["a"])
    _become(hosts, {"bc"})
    lab.unite()
    _become(hosts, {"ab", "ac", "bc"})


def test_a_host_that_restarts_in_a_partition_is_on_the_labs_bridge(lab: Lab, hosts: list[LabHost]) -> None:
    lab.partition(["a"])
    hosts[1].stop()
    hosts[1].start()
    assert hosts[1].exec(["hostname"]).stdout == "b\n"
    lab.unite()


def test_lost_packets(hosts: list[LabHost]) -> None:
    hosts[0].lose(100)
    assert _pairs(hosts) == {"bc"}
    hosts[0].lose(0)
    _become(hosts, {"ab", "ac", "bc"})


def test_the_share_of_lost_packets(hosts: list[LabHost]) -> None:
    """Of those sent and of those received; the sender does not notice."""
    assert (_arrive(hosts[0], hosts[1]), _arrive(hosts[1], hosts[0])) == (DATAGRAMS, DATAGRAMS)
    hosts[0].lose(30)
    for sender, receiver in ((hosts[0], hosts[1]), (hosts[1], hosts[0])):
        assert 0.6 < _arrive(sender, receiver) / DATAGRAMS < 0.8
    hosts[0].lose(0)


def _arrive(sender: LabHost, receiver: LabHost) -> int:
    """How many of `DATAGRAMS` do."""
    pipe = subprocess.PIPE
    with receiver.popen([receiver.python, "-c", _COUNT], text=True, stdin=pipe, stdout=pipe) as counter:
        assert counter.stdout
        assert counter.stdout.readline() == "ready\n"
        sender.exec([sender.python, "-c", _SEND, receiver.address, str(DATAGRAMS)], check=True)
        return int(counter.communicate("sent\n", timeout=20)[0])


@contextmanager
def _ticker(host: LabHost) -> Iterator[subprocess.Popen[str]]:
    """A process of `host` that counts on its standard output."""
    script = "n=0; while :; do n=$((n+1)); echo $n > /tmp/ticks; sleep 0.02; done"
    with host.popen(["sh", "-c", script], text=True) as process:
        try:
            yield process
        finally:
            # One that a failed test leaves stopped would be waited for without end.
            process.kill()


def _ticks(host: LabHost) -> int:
    file = host.path("/tmp/ticks")
    return int(file.read_text() or 0) if file.exists() else 0


def _runs(host: LabHost) -> bool:
    first = _ticks(host)
    try:
        eventually(lambda: _ticks(host) > first, "it counts on", 1)
    except AssertionError:
        return False
    return True


def test_a_frozen_host_does_nothing_until_it_thaws(lab: Lab) -> None:
    host = lab.add_host("a")
    with _ticker(host):
        eventually(lambda: _ticks(host), "it counts", 10)
        host.freeze()
        eventually(lambda: not _runs(host), "it stands still", 10)
        host.thaw()
        assert _runs(host)


def test_a_frozen_host_can_be_stopped(lab: Lab) -> None:
    host = lab.add_host("a")
    with _ticker(host) as process:
        eventually(lambda: _ticks(host), "it counts", 10)
        host.freeze()
        host.stop()
        assert process.wait(10) == -signal.SIGKILL
    assert not host.running


def test_signals_reach_the_programs_of_this_host_only(lab: Lab) -> None:
    one, other = lab.add_host("a"), lab.add_host("b")
    sleeps = [host.popen(["sleep", "4716"]) for host in (one, other)]
    for host in (one, other):
        eventually(partial(host.exec, ["pgrep", "-x", "sleep"]), "it sleeps", 10, ok=lambda done: done.stdout)
    assert one.signal("sleep", signal.SIGTERM) == 1
    assert sleeps[0].wait(10) == -signal.SIGTERM
    assert sleeps[1].poll() is None
    assert one.signal("sleep", signal.SIGTERM) == 0
    sleeps[1].kill()
    sleeps[1].wait(10)


def test_a_host_whose_program_hung_can_be_stopped(lab: Lab) -> None:
    host = lab.add_host("a")
    with _ticker(host) as process:
        eventually(lambda: _ticks(host), "it counts", 10)
        # Two in the moment in which it has forked, and the child is not yet `sleep`.
        assert host.signal("sh", signal.SIGSTOP) in (1, 2)
        eventually(lambda: not _runs(host), "it stands still", 10)
        assert host.signal("sh", signal.SIGCONT) in (1, 2)
        assert _runs(host)
        host.signal("sh", signal.SIGSTOP)
        host.stop()
        assert process.wait(10) == -signal.SIGKILL
    assert not host.running


def test_a_small_disk_becomes_full(lab: Lab) -> None:
    host = lab.add_host("a")
    host.small_disk("/var/lib/rancher/small", 1)
    fill = "import sys; open(sys.argv[1], 'wb').write(bytes(2 << 20))"
    done = host.exec([host.python, "-c", fill, "/var/lib/rancher/small/file"])
    assert f"Errno {errno.ENOSPC}" in done.stderr
    assert host.exec([host.python, "-c", fill, "/var/lib/rancher/file"]).returncode == 0
