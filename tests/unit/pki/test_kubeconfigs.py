from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.errors import ConfigError
from rke2.pki.kubeconfigs import (
    apiserver_url,
    ensure_admin_kubeconfig,
    ensure_agent_kubeconfigs,
    ensure_server_kubeconfigs,
)
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config
from tests.snapshots import snapshot


def with_pki(root: Path, **server: Any) -> NodeConfig:
    config = server_config(paths_under(root), server=server)
    ensure_server_pki(config)
    return config


def server_of(path: Path) -> Any:
    return yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"]


def test_a_server_goes_to_its_own_apiserver_by_the_loopback_of_its_family() -> None:
    assert apiserver_url(server_config()) == "https://127.0.0.1:6443"
    v6 = {"cluster_cidrs": (ip_network("fd00:42::/56"),), "service_cidrs": (ip_network("fd00:43::/112"),)}
    assert apiserver_url(server_config(network=v6)) == "https://[::1]:6443"


def test_a_server_of_both_families_goes_by_ipv4_whichever_comes_first() -> None:
    """Its API server listens on IPv4 then."""
    v6_first = {"cluster_cidrs": (ip_network("fd00:42::/56"), ip_network("10.42.0.0/16"))}
    config = server_config(
        network=v6_first, node={"ips": (ip_address("2001:db8::1"), ip_address("192.0.2.1"))}
    )
    assert apiserver_url(config) == "https://127.0.0.1:6443"


def test_a_server_without_apiserver_goes_through_its_load_balancer() -> None:
    disabled = {"kube-apiserver": ComponentSettings(disabled=True)}
    config = server_config(components=disabled, node={"lb_server_port": 7444})
    assert apiserver_url(config) == "https://127.0.0.1:7443"


def test_one_file_may_go_elsewhere(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    ensure_agent_kubeconfigs(config, {"kubelet.kubeconfig": "https://127.0.0.1:6440"})
    assert server_of(config.paths.agent / "kubelet.kubeconfig") == "https://127.0.0.1:6440"
    assert server_of(config.paths.agent / "kubeproxy.kubeconfig") == "https://127.0.0.1:6443"


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    config = with_pki(tmp_path)

    def write() -> dict[str, tuple[int, int, int]]:
        ensure_server_kubeconfigs(config)
        ensure_agent_kubeconfigs(config)
        ensure_admin_kubeconfig(config)
        return snapshot(tmp_path)

    assert write() == write()


def test_mode_and_group_of_the_admin_kubeconfig(tmp_path: Path) -> None:
    config = with_pki(tmp_path, write_kubeconfig_mode=0o640, write_kubeconfig_group="daemon")
    status = ensure_admin_kubeconfig(config).stat()
    assert status.st_mode & 0o777 == 0o640
    if os.geteuid() == 0:
        assert status.st_gid == 1


def test_an_unknown_group_is_refused_before_writing(tmp_path: Path) -> None:
    config = with_pki(tmp_path, write_kubeconfig_group="no-such-group")
    with pytest.raises(ConfigError, match=r"write-kubeconfig-group.*no-such-group"):
        ensure_admin_kubeconfig(config)
    assert not config.paths.admin_kubeconfig.exists()


def test_elsewhere_leaves_a_link_and_the_default_path_takes_it_back(tmp_path: Path) -> None:
    elsewhere = tmp_path / "home/.kube/config"
    config = with_pki(tmp_path, write_kubeconfig=elsewhere)
    default = config.paths.admin_kubeconfig
    assert ensure_admin_kubeconfig(config) == elsewhere
    assert default.readlink() == elsewhere
    content = elsewhere.read_bytes()

    ensure_admin_kubeconfig(server_config(paths_under(tmp_path)))
    assert not default.is_symlink()
    assert default.read_bytes() == content


def test_a_link_replaces_the_file_of_an_earlier_start(tmp_path: Path) -> None:
    ensure_admin_kubeconfig(with_pki(tmp_path))
    config = with_pki(tmp_path, write_kubeconfig=tmp_path / "kubeconfig")
    ensure_admin_kubeconfig(config)
    assert config.paths.admin_kubeconfig.readlink() == tmp_path / "kubeconfig"


def test_a_link_of_the_user_is_written_through(tmp_path: Path) -> None:
    target, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(target)
    ensure_admin_kubeconfig(with_pki(tmp_path, write_kubeconfig=link))
    assert link.is_symlink()
    assert server_of(target) == "https://127.0.0.1:6443"
