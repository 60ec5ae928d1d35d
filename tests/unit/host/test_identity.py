from __future__ import annotations

import subprocess
import sys
from ast import literal_eval
from ipaddress import ip_address

import pytest

from rke2.host.identity import HostIdentity, is_local, local_addresses, primary_address

ALL = "from rke2.host.identity import local_addresses; print(sorted(map(str, local_addresses())))"
DETECT = "from rke2.host.identity import HostIdentity; print(dict(HostIdentity.detect().addresses))"


def interface(name: str, address: str) -> list[str]:
    return [
        f"link add {name} type veth peer name peer-{name}",
        f"addr add {address} dev {name}",
        f"link set {name} up",
        f"link set peer-{name} up",
    ]


def in_own_network(*commands: str, ask: str = DETECT) -> str:
    """What is detected in a network namespace of its own, prepared by `commands` (iproute2)."""
    steps = " && ".join([*(f"ip {command}" for command in commands), f'{sys.executable} -c "{ask}"'])
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", steps],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False), ("2001:db8::1", False), ("8.8.8.8", False)],
)
def test_addresses_of_this_machine(address: str, local: bool) -> None:
    assert is_local(ip_address(address)) is local
    primary = primary_address(4)
    assert primary is None or is_local(primary)


def test_this_machine_has_a_name_and_usable_addresses() -> None:
    host = HostIdentity.detect()
    assert host.hostname
    for family, address in host.addresses.items():
        assert address.version == family
        assert not address.is_loopback
        assert primary_address(family) == address


def test_no_network_no_address() -> None:
    assert in_own_network("link set lo up") == "{}"


def test_without_a_default_route_the_first_real_interface_counts() -> None:
    found = in_own_network(
        *interface("cali123", "10.42.0.1/24"),
        *interface("eth7", "198.51.100.7/24"),
        "-6 addr add 2001:db8::7/64 dev eth7 nodad",
    )
    assert found == str({4: ip_address("198.51.100.7"), 6: ip_address("2001:db8::7")})


def test_the_address_of_the_default_route_wins() -> None:
    found = in_own_network(
        *interface("eth0", "198.51.100.7/24"),
        *interface("eth1", "203.0.113.9/24"),
        "route add default via 203.0.113.1",
    )
    assert found == str({4: ip_address("203.0.113.9")})


def test_all_addresses_of_the_host() -> None:
    assert ip_address("127.0.0.1") in local_addresses()
    found = in_own_network(
        *interface("eth0", "192.0.2.1/24"),
        "addr add 192.0.2.2/24 dev eth0",
        "addr add 198.51.100.7/32 dev lo",
        "addr add 2001:db8::7/64 dev eth0",
        "route add 203.0.113.0/24 via 192.0.2.9",
        ask=ALL,
    )
    assert {"192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::7"} <= set(literal_eval(found))
    assert not {"192.0.2.9", "192.0.2.255", "203.0.113.0"} & set(literal_eval(found))
