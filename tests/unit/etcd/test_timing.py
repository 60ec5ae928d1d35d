from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.etcd import timing
from rke2.etcd.messages import Member
from rke2.staticpods import etcd_config
from rke2.staticpods.etcd_config import ALONE, CLUSTER, EtcdTiming, InitialOptions
from tests.configs import paths_under, server_config

FIRST = InitialOptions("https://192.0.2.1:2380", "n1-0=https://192.0.2.1:2380")
JOINED = InitialOptions(FIRST.advertise_peer_url, f"{FIRST.cluster},n2-0=https://192.0.2.2:2380", "existing")
ONE = (Member(1, "n1-0"),)
TWO = (*ONE, Member(2))


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return server_config(paths_under(tmp_path))


def write(config: NodeConfig, options: InitialOptions) -> dict[str, Any]:
    chosen = timing.initial(config, options)
    etcd_config.write(config, etcd_config.document(config, "n1-0", options, timing=chosen))
    return read(config)


def read(config: NodeConfig) -> dict[str, Any]:
    content = yaml.safe_load((config.paths.etcd / "config").read_text())
    assert isinstance(content, dict)
    return content


def test_the_first_start_is_decided_by_the_initial_cluster(config: NodeConfig) -> None:
    assert timing.initial(config, FIRST) == ALONE
    assert timing.initial(config, JOINED) == CLUSTER


def test_a_first_server_that_was_joined_keeps_the_timing_of_a_cluster(config: NodeConfig) -> None:
    before = write(config, FIRST)
    assert not timing.settle(config, ONE)
    assert timing.settle(config, TWO)
    after = read(config)
    assert (after["heartbeat-interval"], after["election-timeout"]) == (500, 5000)
    assert {**after, "heartbeat-interval": 100, "election-timeout": 1000} == before
    assert list(after) == list(before), "the next start would write the file again"
    assert write(config, FIRST) == after
    assert timing.settle(config, ONE)
    assert write(config, FIRST) == before


def test_values_of_the_operator_stay(tmp_path: Path) -> None:
    args = ("election-timeout=2000", "heartbeat-interval=200")
    config = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(args=args)})
    write(config, FIRST)
    assert not timing.settle(config, TWO)
    assert read(config)["election-timeout"] == 2000
    without = server_config(config.paths)
    assert timing.initial(without, FIRST) == CLUSTER  # the safe one, until the members are known again


def test_without_a_file_there_is_nothing_to_settle(config: NodeConfig) -> None:
    assert not timing.settle(config, TWO)
    config.paths.etcd.mkdir(parents=True)
    (config.paths.etcd / "config").write_text("not: [yaml")
    assert not timing.settle(config, TWO)
    assert timing.initial(config, FIRST) == ALONE


def test_a_timing_of_neither_kind_is_taken_for_a_clusters(config: NodeConfig) -> None:
    options = etcd_config.document(config, "n", FIRST, timing=EtcdTiming(300, 3000))
    etcd_config.write(config, options)
    assert timing.initial(config, FIRST) == CLUSTER
