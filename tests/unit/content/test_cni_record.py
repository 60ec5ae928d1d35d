"""The CNI plugin of the first start is remembered, and another one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.model import NodeConfig
from rke2.content import charts, cni_record
from rke2.errors import ConfigError
from tests.configs import paths_under, server_config


def config(root: Path, cni: str) -> NodeConfig:
    return server_config(paths_under(root), network={"cni": (cni,)})


def test_before_the_first_start_any_will_do(tmp_path: Path) -> None:
    cni_record.check(config(tmp_path, "canal"))
    assert list(tmp_path.iterdir()) == []


def test_the_first_choice_stays(tmp_path: Path) -> None:
    cni_record.record(config(tmp_path, "canal"))
    cni_record.record(config(tmp_path, "none"))
    cni_record.check(config(tmp_path, "canal"))
    with pytest.raises(ConfigError, match="cni is none, but this cluster was begun with canal") as caught:
        cni_record.check(config(tmp_path, "none"))
    assert str(config(tmp_path, "none").paths.cni_record) in caught.value.remedy


def test_adding_multus_is_no_other_choice(tmp_path: Path) -> None:
    cni_record.record(config(tmp_path, "canal"))
    cni_record.check(server_config(paths_under(tmp_path), network={"cni": ("multus", "canal")}))


def test_a_server_of_another_release_is_known_by_its_manifests(tmp_path: Path) -> None:
    upgraded = config(tmp_path, "canal")
    upgraded.paths.manifests.mkdir(parents=True)
    (upgraded.paths.manifests / "rke2-cilium.yaml").write_text("kind: HelmChart\n")
    with pytest.raises(ConfigError, match="begun with cilium"):
        cni_record.check(upgraded)


def test_an_unreadable_record_is_named(tmp_path: Path) -> None:
    broken = config(tmp_path, "canal")
    broken.paths.cni_record.mkdir(parents=True)
    with pytest.raises(ConfigError, match="server/cni cannot be read"):
        cni_record.check(broken)


def test_only_the_charts_of_the_chosen_plugin_are_staged(tmp_path: Path) -> None:
    packaged, chosen = tmp_path / "charts", config(tmp_path, "calico")
    packaged.mkdir()
    for name in (
        "rke2-canal",
        "rke2-calico",
        "rke2-calico-crd",
        "rke2-cilium",
        "rke2-multus",
        "rke2-coredns",
    ):
        (packaged / f"{name}.yaml").write_text(f"# {name}\n")
    charts.stage(packaged, chosen)
    staged = sorted(file.name for file in chosen.paths.manifests.iterdir())
    assert staged == ["rke2-calico-crd.yaml", "rke2-calico.yaml", "rke2-coredns.yaml"]
    assert chosen.paths.cni_record.read_text() == "calico\n"
