"""What the golden files in tests/contract do not show: conditions."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import ComponentSettings
from rke2.errors import ConfigError
from rke2.staticpods import kube_apiserver, kube_controller_manager, kube_proxy, kube_scheduler
from tests.configs import server_config


def apiserver_args(*items: str, egress: bool = False, **config: Any) -> tuple[str, ...]:
    settings = {"kube-apiserver": ComponentSettings(args=items)}
    return kube_apiserver.pod(server_config(components=settings, **config), "i", egress=egress).args


def values(args: tuple[str, ...], flag: str) -> list[str]:
    return [arg.split("=", 1)[1] for arg in args if arg.split("=", 1)[0] == f"--{flag}"]


def test_own_admission_plugins_come_on_top_of_node_restriction() -> None:
    assert values(apiserver_args("enable-admission-plugins=X"), "enable-admission-plugins") == [
        "NodeRestriction",
        "X",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("anonymous-auth", "authentication-config"), ("authorization-mode", "authorization-config")],
)
def test_a_flag_that_excludes_ours_removes_it(ours: str, theirs: str) -> None:
    assert values(apiserver_args(), ours)
    assert not values(apiserver_args(f"{theirs}=/f"), ours)


def test_flags_of_k3s_do_not_reach_the_real_apiserver() -> None:
    args = apiserver_args("advertise-port=1", "basic-auth-file=/f")
    assert not values(args, "advertise-port") + values(args, "basic-auth-file")


def test_egress_flags_only_with_egress() -> None:
    assert not values(apiserver_args(), "egress-selector-config-file")
    assert values(apiserver_args(egress=True), "enable-aggregator-routing") == ["true"]


def test_auditing_without_and_with_own_log_path() -> None:
    audited: dict[str, Any] = {"server": {"audit_policy_file": Path("/p.yaml")}}
    assert not values(apiserver_args(), "audit-log-maxage")
    args = apiserver_args(**audited)
    assert values(args, "audit-policy-file") == ["/p.yaml"]
    assert values(args, "audit-log-path") == ["/var/lib/rancher/rke2/server/logs/audit.log"]
    assert values(apiserver_args("audit-log-path=/var/log/a.log", **audited), "audit-log-path") == [
        "/var/log/a.log"
    ]


def test_audit_log_on_standard_output_mounts_no_directory() -> None:
    settings = {"kube-apiserver": ComponentSettings(args=("audit-log-path=-",))}
    assert kube_apiserver.pod(server_config(components=settings), "i").dirs == (
        Path("/var/lib/rancher/rke2/server"),
    )


def test_cis_shortens_tokens_and_audits() -> None:
    args = apiserver_args(profile="cis")
    assert values(args, "service-account-extend-token-expiration") == ["false"]
    assert values(args, "audit-policy-file") == ["/etc/rancher/rke2/audit-policy.yaml"]


def test_advertised_address_prefers_flag_then_external_ip() -> None:
    external = {"external_ips": (ip_address("198.51.100.7"),)}
    flag = {"advertise_address": ip_address("203.0.113.9")}
    assert values(apiserver_args(), "advertise-address") == ["192.0.2.1"]
    assert values(apiserver_args(node=external), "advertise-address") == ["198.51.100.7"]
    assert values(apiserver_args(node=external, network=flag), "advertise-address") == ["203.0.113.9"]


def test_ipv6_only_cluster_binds_ipv6_addresses() -> None:
    config = server_config(network={"cluster_cidrs": (ip_network("fd00:42::/56"),)})
    assert values(kube_scheduler.pod(config, "i").args, "bind-address") == ["::1"]
    assert values(kube_apiserver.pod(config, "i").args, "bind-address") == ["::"]


def test_without_etcd_its_name_is_not_mounted() -> None:
    config = server_config(components={"etcd": ComponentSettings(disabled=True)})
    makers = (kube_apiserver.pod, kube_controller_manager.pod, kube_scheduler.pod)
    assert [make(config, "i").files for make in makers] == [(), (), ()]


def test_cloud_controllers_are_left_to_a_cloud_controller_manager() -> None:
    config = server_config()
    assert values(kube_controller_manager.pod(config, "i").args, "controllers") == ["*,tokencleaner"]
    with_ccm = kube_controller_manager.pod(config, "i", cloud_controller=True)
    assert values(with_ccm.args, "controllers") == ["*,tokencleaner,-service,-route,-cloud-node-lifecycle"]


def test_conntrack_is_left_alone_by_default() -> None:
    assert kube_proxy.conntrack_sysctls((), cpus=4) == {}


def test_conntrack_values_from_kube_proxy_args() -> None:
    args = ("conntrack-max-per-core=40000", "conntrack-tcp-timeout-established=1h", "conntrack-min=1000")
    assert kube_proxy.conntrack_sysctls(args, cpus=2) == {
        "net.netfilter.nf_conntrack_max": 80000,
        "net.netfilter.nf_conntrack_tcp_timeout_established": 3600,
    }
    assert kube_proxy.conntrack_sysctls(("conntrack-max-per-core=1",), cpus=2) == {
        "net.netfilter.nf_conntrack_max": 131072
    }


@pytest.mark.parametrize("item", ["conntrack-max-per-core=many", "conntrack-tcp-timeout-established=5"])
def test_bad_conntrack_value_is_named(item: str) -> None:
    with pytest.raises(ConfigError, match=item):
        kube_proxy.conntrack_sysctls((item,), cpus=1)


@pytest.mark.parametrize(
    ("item", "ipvs", "message"),
    [
        (None, False, ""),
        ("proxy-mode=nftables", False, ""),
        ("proxy-mode=ipvs", True, ""),
        ("proxy-mode=ipvs", False, "this kernel has no IPVS"),
        ("proxy-mode=userspace", True, "no such mode"),
    ],
)
def test_a_mode_in_which_kube_proxy_cannot_work_is_refused(
    item: str | None, ipvs: bool, message: str
) -> None:
    settings = ComponentSettings(args=(item,) if item else ())
    config = server_config(components={"kube-proxy": settings})
    if message:
        with pytest.raises(ConfigError, match=message):
            kube_proxy.check_mode(config, ipvs=ipvs)
        disabled = replace(settings, disabled=True)
        config = server_config(components={"kube-proxy": disabled})
    kube_proxy.check_mode(config, ipvs=ipvs)
