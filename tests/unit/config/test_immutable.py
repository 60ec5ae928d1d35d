"""The CNI plugin and the networks of the first start are remembered, and others are refused."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from rke2.config import immutable
from rke2.config.model import IPNetwork, NodeConfig
from rke2.content.runtime import charts
from rke2.errors import ConfigError
from tests.configs import paths_under, server_config


def config(root: Path, cni: str) -> NodeConfig:
    return server_config(paths_under(root), network={"cni": (cni,)})


def test_before_the_first_start_any_will_do(tmp_path: Path) -> None:
    immutable.check(config(tmp_path, "canal"))
    assert list(tmp_path.iterdir()) == []


def test_the_first_choice_stays(tmp_path: Path) -> None:
    immutable.record(config(tmp_path, "canal"))
    immutable.record(config(tmp_path, "none"))
    immutable.check(config(tmp_path, "canal"))
    with pytest.raises(ConfigError, match="cni is none, but this cluster was created with canal") as caught:
        immutable.check(config(tmp_path, "none"))
    assert str(config(tmp_path, "none").paths.kept("cni")) in caught.value.remedy


def test_adding_multus_is_no_other_choice(tmp_path: Path) -> None:
    immutable.record(config(tmp_path, "canal"))
    immutable.check(server_config(paths_under(tmp_path), network={"cni": ("multus", "canal")}))


def test_a_server_of_another_release_is_known_by_its_manifests(tmp_path: Path) -> None:
    upgraded = config(tmp_path, "canal")
    upgraded.paths.manifests.mkdir(parents=True)
    (upgraded.paths.manifests / "rke2-cilium.yaml").write_text("kind: HelmChart\n")
    with pytest.raises(ConfigError, match="created with cilium"):
        immutable.check(upgraded)


def test_an_unreadable_record_is_named(tmp_path: Path) -> None:
    broken = config(tmp_path, "canal")
    broken.paths.kept("cni").mkdir(parents=True)
    with pytest.raises(ConfigError, match="server/cni cannot be read"):
        immutable.check(broken)


@pytest.mark.parametrize("setting", ["cluster-cidr", "service-cidr"])
def test_the_networks_stay(tmp_path: Path, setting: str) -> None:
    field = f"{setting.replace('-', '_')}s"
    before = server_config(paths_under(tmp_path), network={field: _networks("10.60.0.0/16", "fd60::/112")})
    immutable.record(before)
    immutable.check(before)
    assert before.paths.kept(setting).read_text() == "10.60.0.0/16,fd60::/112\n"
    only_one = server_config(paths_under(tmp_path), network={field: _networks("10.60.0.0/16")})
    message = f"{setting} is 10.60.0.0/16, but this cluster was created with 10.60.0.0/16,fd60::/112: "
    with pytest.raises(ConfigError, match=message) as caught:
        immutable.check(only_one)
    assert caught.value.remedy.startswith(
        f"set {setting} to 10.60.0.0/16,fd60::/112; to have 10.60.0.0/16, begin"
    )


@pytest.mark.parametrize(
    ("setting", "field", "before", "now"),
    [
        ("cluster-dns", "cluster_dns", (ip_address("10.43.0.10"),), (ip_address("10.43.0.11"),)),
        ("cluster-domain", "cluster_domain", "cluster.local", "example.net"),
    ],
)
def test_the_dns_stays(tmp_path: Path, setting: str, field: str, before: object, now: object) -> None:
    first, second = (server_config(paths_under(tmp_path), network={field: value}) for value in (before, now))
    immutable.record(first)
    immutable.check(first)
    with pytest.raises(ConfigError, match=f"{setting} is .*, but this cluster was created with"):
        immutable.check(second)


def test_a_dns_of_ones_own_may_move(tmp_path: Path) -> None:
    own = {"disable": ("rke2-coredns",)}
    for address in ("10.43.0.10", "10.43.0.11"):
        network = {"cluster_dns": (ip_address(address),)}
        moved = server_config(paths_under(tmp_path), network=network, server=own)
        immutable.check(moved)
        immutable.record(moved)
        assert not moved.paths.kept("cluster-dns").exists()


def test_a_server_of_another_release_has_the_networks_it_is_given(tmp_path: Path) -> None:
    upgraded = config(tmp_path, "canal")
    upgraded.paths.manifests.mkdir(parents=True)
    (upgraded.paths.manifests / "rke2-canal.yaml").write_text("kind: HelmChart\n")
    immutable.check(upgraded)
    immutable.record(upgraded)
    assert upgraded.paths.kept("cluster-cidr").exists()


def _networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(map(ip_network, texts))


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
    assert chosen.paths.kept("cni").read_text() == "calico\n"
