from ipaddress import ip_address, ip_network

import pytest

from rke2.errors import ConfigError
from rke2.pki.catalog import Names
from rke2.pki.names import AltNames, alt_names
from tests.configs import server_config


def test_literals_are_addresses_and_duplicates_disappear() -> None:
    names = AltNames.of("a", "::1", "a", "10.0.0.1", ip_address("10.0.0.1"), "*.example.org", "0:0::1")
    assert names.entries() == ("a", "*.example.org", "::1", "10.0.0.1")


def test_every_service_network_names_its_first_address() -> None:
    networks = (ip_network("10.43.0.0/16"), ip_network("fd00:43::/112"))
    config = server_config(
        network={
            "service_cidrs": networks,
            "cluster_domain": "k8s.example",
            "advertise_address": ip_address("192.0.2.77"),
        },
    )
    entries = alt_names(Names.SERVER, config).entries()
    assert {"10.43.0.1", "fd00:43::1", "192.0.2.77", "kubernetes.default.svc.k8s.example"} <= set(entries)


def test_a_name_in_unicode_is_refused_with_its_remedy() -> None:
    with pytest.raises(ConfigError, match=r"tls-san: 'bücher\.example'.*xn--"):
        AltNames.of("bücher.example")


def test_order_does_not_make_a_difference_but_absence_does() -> None:
    both = AltNames.of("a", "b")
    assert both.covers(AltNames.of("b", "a"))
    assert both.covers(AltNames.of("b"))
    assert not AltNames.of("b").covers(both)
    assert AltNames.of("b").lacking(both) == ("a",)
