"""Which CNI plugins may be chosen, and what follows from the choice."""

from __future__ import annotations

import pytest

from rke2.config import cni
from rke2.config.cni import CNIS, COMBINATIONS, DEFAULT, foreign_archive
from rke2.config.selection import cni_plugins
from rke2.config.settings import Setting, Settings
from rke2.errors import ConfigError
from tests.unit.config.nodes import server

OTHERS = {row.name for row in CNIS if row.charts}


@pytest.mark.parametrize(
    ("argv", "chosen"),
    [([], {"canal"}), (["--cni=none"], set()), (["--cni=multus,calico"], {"calico", "multus"})],
)
def test_unselected_charts_are_disabled(argv: list[str], chosen: set[str]) -> None:
    config = server(*argv, "--disable=rke2-coredns,foo")
    assert config.server is not None
    others = OTHERS - chosen
    expected = {f"rke2-{name}" for name in others} | {f"rke2-{name}-crd" for name in others}
    expected |= {"rke2-multus"} - {f"rke2-{name}" for name in chosen}
    assert set(config.server.disable) == expected | {"rke2-coredns", "foo"}


@pytest.mark.parametrize("row", CNIS, ids=lambda row: row.name)
def test_a_choice_disables_the_charts_of_all_others_and_none_of_its_own(row: cni.CNI) -> None:
    disabled = cni.unselected_charts((row.name,))
    assert not set(row.charts) & set(disabled)
    assert {chart for other in CNIS if other != row for chart in other.charts} <= set(disabled)


@pytest.mark.parametrize(
    ("chosen", "valid"),
    [
        (("canal",), True),
        (("multus", "canal"), True),
        (("multus", "none"), True),
        (("multus",), False),
        (("canal", "multus"), False),
        (("multus", "multus"), False),
        (("canal", "calico"), False),
        (("canal", "canal"), False),
        (("multus", "canal", "calico"), False),
    ],
)
def test_the_table_of_combinations(chosen: tuple[str, ...], valid: bool) -> None:
    given = Settings("server", {"cni": Setting(chosen, "a test")})
    if valid:
        assert cni_plugins(given) == chosen
    else:
        with pytest.raises(ConfigError, match="cni: invalid value"):
            cni_plugins(given)


@pytest.mark.parametrize("row", CNIS, ids=lambda row: row.name)
def test_without_kube_proxy_somebody_else_has_to_serve_services(row: cni.CNI) -> None:
    given = Settings(
        "server", {"cni": Setting((row.name,), "a test"), "disable-kube-proxy": Setting(True, "a test")}
    )
    if row.needs_kube_proxy:
        with pytest.raises(ConfigError, match=f"disable-kube-proxy .* cni {row.name}") as caught:
            cni_plugins(given)
        assert "none" in str(caught.value.remedy)
    else:
        assert cni_plugins(given) == (row.name,)


def test_several_ways_to_write_it_add_up() -> None:
    with pytest.raises(ConfigError, match=r"canal,none.*only multus may precede"):
        server("--cni=canal", "--cni=none")
    assert server("--cni=canal,").network.cni == ("canal",)


def test_the_archives_of_other_plugins_are_foreign() -> None:
    assert foreign_archive("rke2-images-calico.linux-amd64.tar.zst", "canal")
    assert not foreign_archive("rke2-images-calico.linux-amd64.tar.zst", "calico")
    assert foreign_archive("rke2-images-canal.linux-amd64.tar.zst", "none")
    assert foreign_archive("rke2-images-multus.linux-amd64.tar.zst", "canal")
    for archive in ("multus", "canal"):
        assert not foreign_archive(f"rke2-images-{archive}.linux-amd64.tar.zst", "multus,canal")
    assert foreign_archive("rke2-images-calico.linux-amd64.tar.zst", "multus,canal")
    for name in (
        "rke2-images-core.linux-amd64.tar.zst",
        "calico.tar",
        "rke2-images-canal-more.linux-amd64.tar.zst",
    ):
        assert not foreign_archive(name, DEFAULT.name)


def test_multus_may_precede_every_plugin() -> None:
    assert {"canal", "multus,canal", "multus,none"} <= set(COMBINATIONS)
    for combination in COMBINATIONS:
        assert ",".join(server(f"--cni={combination}").network.cni) == combination


def test_the_default_is_packaged() -> None:
    assert DEFAULT.packaged
    assert DEFAULT.name == "canal"
