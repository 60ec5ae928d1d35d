from __future__ import annotations

import base64

import pytest

from rke2.components.registration import node_annotations, node_labels
from rke2.config.model import ComponentSettings
from tests.configs import server_config

NO_CLOUD = {"cloud-controller-manager": ComponentSettings(disabled=True)}


def test_labels_are_those_of_the_flag() -> None:
    config = server_config(node={"labels": ("a=b", "example.com/zone=", "c=d=e")})
    expected = {"a": "b", "example.com/zone": "", "c": "d=e"}
    assert {key: value for key, value in node_labels(config).items() if value is not None} == expected


@pytest.mark.parametrize(
    ("mode", "label"), [("agent", None), ("disabled", None), ("cluster", "true"), ("pod", "true")]
)
def test_a_node_tells_whether_its_pods_are_reached_through_the_tunnel(mode: str, label: str | None) -> None:
    config = server_config(network={"egress_selector_mode": mode})
    assert node_labels(config)["egress.rke2.io/cluster"] == label


def test_addresses_are_there_for_a_cloud_controller_only() -> None:
    with_cloud = node_annotations(server_config(node={"internal_dns": ("n.example",)}))
    assert with_cloud["rke2.io/internal-ip"] == "192.0.2.1"
    assert with_cloud["rke2.io/internal-dns"] == "n.example"
    assert with_cloud["rke2.io/external-ip"] is None
    without = node_annotations(server_config(components=NO_CLOUD))
    assert without["rke2.io/internal-ip"] is None


def test_the_hash_follows_arguments_and_environment() -> None:
    hashes = {
        node_annotations(server_config(argv=argv, environ=env))["rke2.io/node-config-hash"]
        for argv in (("server",), ("server", "--debug"))
        for env in ({}, {"RKE2_DEBUG": "true"})
    }
    assert len(hashes) == 4
    for text in hashes:
        assert text is not None
        assert len(base64.b32decode(text)) == 32
        assert text.endswith("====")
