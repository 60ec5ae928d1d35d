"""The answer of ``GET /v1-rke2/config``, which nodes of other releases read."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from rke2.config.model import ComponentSettings, JoinSettings, NodeConfig
from rke2.join.cluster_config.adopt import with_cluster_settings
from rke2.join.cluster_config.compare import critical_mismatches
from rke2.join.cluster_config.encode import encode_config
from rke2.join.cluster_config.keys import LEFT_OUT, READERS
from tests.configs import paths_under, server_config
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent


def test_the_answer_of_a_server_with_defaults() -> None:
    assert_golden(GOLDEN / "config.json", _text(server_config()))


def test_the_answer_of_a_server_that_joined_a_dual_stack_cluster(tmp_path: Path) -> None:
    config = server_config(
        paths_under(tmp_path),
        network={
            "cluster_cidrs": (ip_network("10.42.0.0/16"), ip_network("fd00:42::/56")),
            "service_cidrs": (ip_network("10.43.0.0/16"), ip_network("fd00:43::/112")),
            "cluster_dns": (ip_address("10.43.0.10"), ip_address("fd00:43::a")),
            "advertise_address": ip_address("192.0.2.1"),
            "tls_sans": ("rke2.example.org",),
            "node_port_range": "30000-30100",
            "egress_selector_mode": "cluster",
        },
        components={
            "etcd": ComponentSettings(disabled=True, args=("quota-backend-bytes=1",)),
            "kube-apiserver": ComponentSettings(args=("tls-min-version=VersionTLS13", "v=2")),
            "kube-proxy": ComponentSettings(disabled=True),
        },
        images={"system_default_registry": "registry.example.org"},
        server={"disable": ("rke2-metrics-server",), "write_kubeconfig_mode": 0o640},
        join=JoinSettings("https://192.0.2.9:9345", "secret"),
    )
    config.paths.cred.mkdir(parents=True)
    (config.paths.cred / "ipsec.psk").write_text("0123abcd\n")
    text = _text(config)
    assert "secret" not in text, "no token"
    assert "0123abcd" not in text, "no key that no agent uses"
    assert_golden(GOLDEN / "config-joined.json", text.replace(str(tmp_path), ""))


def test_every_key_has_a_reader() -> None:
    """Whoever holds a joining token, or the certificate of any node, is told all of it."""
    assert set(encode_config(server_config())) == set(READERS)


def test_every_key_of_rke2_is_told_or_left_out_for_a_reason() -> None:
    """A node of RKE2 reads the answer into its own type; what it does not know, or knows by another name, is lost."""
    reference = (Path(__file__).parents[3] / "docs/reference/supervisor.md").read_text()
    section = reference.partition("### 5.3 ")[2].partition("\nNot serialised")[0]
    theirs = set(re.findall(r"`([A-Z]\w+)`", section)) - {"Base", "Size"}
    assert set(READERS) | set(LEFT_OUT) == theirs
    assert not set(READERS) & set(LEFT_OUT)


def test_what_is_left_out_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/joining.md").read_text()
    for reason in set(LEFT_OUT.values()):
        keys = sorted(key for key, each in LEFT_OUT.items() if each == reason)
        assert f"| {', '.join(f'`{key}`' for key in keys)} | {reason} |" in page


def test_nodes_of_ours_take_a_server_of_rke2_that_tells_more() -> None:
    told = {
        "ExtraSchedulerArgs": ["v=4"],
        "ExtraHelmArgs": None,
        "KubeConfigName": "default",
        "Skips": None,
        "SANs": ["127.0.0.1"],
        "Disables": {**encode_config(server_config())["Disables"], "rke2-kube-proxy": True},
    }
    answer = {**encode_config(server_config()), **told}
    assert with_cluster_settings(server_config(), answer) == with_cluster_settings(
        server_config(), encode_config(server_config())
    )
    assert critical_mismatches(server_config(), answer) == []


def test_our_nodes_read_nothing_that_is_not_told() -> None:
    asked: set[str] = set()

    class Answer(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.add(key)
            return super().get(key, default)

    answer = Answer(encode_config(server_config()))
    with_cluster_settings(server_config(), answer)
    assert critical_mismatches(server_config(), answer) == []
    assert asked <= set(READERS)
    unread_by_us = {key for key, reader in READERS.items() if key not in asked}
    assert all("RKE2" in READERS[key] for key in unread_by_us)


def _text(config: NodeConfig) -> str:
    return json.dumps(encode_config(config), indent=2) + "\n"
