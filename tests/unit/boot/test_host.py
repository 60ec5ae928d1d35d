"""What a host has to have before anything is written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from rke2.boot.host import require_addresses
from rke2.errors import HostError
from tests.configs import server_config

LOCAL = [ip_address(text) for text in ("127.0.0.1", "192.0.2.1", "2001:db8::1")]


def test_the_addresses_of_the_node_are_there() -> None:
    node = {"ips": (LOCAL[1], LOCAL[2])}
    require_addresses(server_config(node=node, network={"bind_address": "0.0.0.0"}), LOCAL)
    require_addresses(server_config(node=node, network={"bind_address": "192.0.2.1"}), LOCAL)


@pytest.mark.parametrize(
    ("ips", "bind", "setting"),
    [
        (["192.0.2.9"], "0.0.0.0", "node-ip 192.0.2.9"),
        (["192.0.2.1", "2001:db8::9"], "::", "node-ip 2001:db8::9"),
        (["192.0.2.1"], "192.0.2.9", "bind-address 192.0.2.9"),
    ],
)
def test_one_that_is_not_is_named_with_those_that_are(ips: list[str], bind: str, setting: str) -> None:
    config = server_config(node={"ips": tuple(map(ip_address, ips))}, network={"bind_address": bind})
    with pytest.raises(HostError) as refused:
        require_addresses(config, LOCAL)
    assert (
        refused.value.message == f"{setting} is not an address of this host, which has 192.0.2.1, 2001:db8::1"
    )
    assert refused.value.remedy
