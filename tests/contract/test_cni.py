"""The table of CNI plugins, and what the distribution has of each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rke2.config.cni import CNI, CNIS, COMBINATIONS, MULTUS, archives
from tests.cluster.agents.cni.networks import NETWORKS

DISTRIBUTION = Path(__file__).parents[2] / "distribution"
ARCHIVES = {each["name"] for each in tomllib.loads((DISTRIBUTION / "release.toml").read_text())["archive"]}
CHARTS = {
    each["name"]: each for each in tomllib.loads((DISTRIBUTION / "charts/charts.toml").read_text())["chart"]
}


@pytest.mark.parametrize("row", [row for row in CNIS if row.packaged], ids=lambda row: row.name)
def test_what_may_be_chosen_is_packaged(row: CNI) -> None:
    for chart in row.charts:
        assert CHARTS[chart]["bootstrap"], "its job runs before there is a network"
    assert not row.archive or row.archive in ARCHIVES


def test_multus_is_packaged() -> None:
    assert CHARTS[f"rke2-{MULTUS}"]["bootstrap"]
    assert {archive for chosen in COMBINATIONS for archive in archives(chosen)} <= ARCHIVES


def test_every_plugin_with_charts_is_tested() -> None:
    assert {row.name for row in CNIS if row.packaged and row.charts} == {row.name for row in NETWORKS}


def test_the_names_of_charts_are_those_that_are_disabled() -> None:
    """`unselected_charts` disables ``rke2-<name>`` and ``rke2-<name>-crd``, as RKE2 does."""
    for row in CNIS:
        assert set(row.charts) <= {f"rke2-{row.name}", f"rke2-{row.name}-crd"}
