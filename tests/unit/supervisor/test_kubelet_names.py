"""The addresses a kubelet says it has; who gets which is asked for over the wire in tests/contract/supervisor."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.supervisor.kubelet_names import NameRequest, grant, read_addresses
from rke2.supervisor.status import StatusError
from tests.configs import server_config


@pytest.mark.parametrize(
    ("header", "addresses"),
    [
        ("", []),
        (" , ,", []),
        ("192.0.2.1", ["192.0.2.1"]),
        (" 192.0.2.1 ,2001:DB8::1,", ["192.0.2.1", "2001:db8::1"]),
        ("::ffff:192.0.2.1", ["192.0.2.1"]),
    ],
)
def test_addresses_in_a_header(header: str, addresses: list[str]) -> None:
    assert list(map(str, read_addresses(header))) == addresses


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("host", 500),
        ("192.0.2", 500),
        ("192.0.2.1/24", 500),
        ("::1", 400),
        ("::ffff:127.0.0.1", 400),
        ("fe80::1%eth0", 400),
        ("192.0.2.1%eth0", 500),
        ("2001:db8::1%eth0", 400),
        (",".join(["192.0.2.1"] * 17), 400),
    ],
)
def test_what_is_not_the_address_of_a_node(header: str, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        read_addresses(header)
    assert refused.value.code == code


@given(st.lists(st.ip_addresses(), max_size=16), st.ip_addresses())
def test_nothing_is_certified_that_was_not_asked_for(asked: list[object], peer: object) -> None:
    """And what was asked for is in the certificate, left out, or the reason for a refusal."""
    addresses = tuple(ip_address(str(address)) for address in asked)
    try:
        found = grant(server_config(), None, NameRequest("node2", addresses, str(peer)))
    except StatusError as error:
        assert error.code == 400
        return
    assert set(found.names.dns) == {"node2", "localhost"}
    certified = set(found.names.ips) - {ip_address("127.0.0.1")}
    assert certified | {ip_address("127.0.0.1")} >= {*addresses} - {*found.left_out}
    assert certified <= {*addresses}
    first = [next((a for a in addresses if a.version == version), None) for version in (4, 6)]
    assert certified <= {*first, ip_address(str(peer))}
