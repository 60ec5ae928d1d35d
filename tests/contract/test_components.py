"""The generated configuration of containerd and the kubelet on two kinds of hosts."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from rke2.components import containerd_config, kubelet_config
from rke2.components.runtimes import Runtime
from rke2.config.model import NodeConfig
from rke2.content.registries.endpoints import hosts
from rke2.content.registries.hosts_toml import render
from rke2.content.registries.settings import Auth, Mirror, Registries, RegistryConfig, RegistryTLS
from rke2.content.runtime.references import image
from rke2.host.facts import HostFacts
from tests.configs import server_config
from tests.golden import assert_golden
from tests.machines import MICRO_VM, SYSTEMD_HOST

GOLDEN = Path(__file__).parent / "components"

REGISTRIES = Registries(
    mirrors={
        "docker.io": Mirror(
            endpoint=["https://m1.example:5000", "m2.example/v2/proxy"], rewrite={"^(.*)$": "hub/$1"}
        ),
        "*": Mirror(endpoint=["https://any.example"]),
    },
    configs={
        "m1.example:5000": RegistryConfig(
            auth=Auth(username="user", password="secret"),
            tls=RegistryTLS(ca_file="/ca.pem", cert_file="/c.pem", key_file="/k.pem"),
        ),
        "private.example": RegistryConfig(tls=RegistryTLS(insecure_skip_verify=True)),
    },
)

EVERYTHING = server_config(
    node={
        "ips": (ip_address("192.0.2.1"), ip_address("2001:db8::1")),
        "labels": ("zone=a",),
        "taints": ("CriticalAddonsOnly=true:NoExecute",),
        "selinux": True,
        "protect_kernel_defaults": True,
    },
    network={
        "cluster_cidrs": (ip_network("10.42.0.0/16"), ip_network("fd00:42::/56")),
        "cluster_dns": (ip_address("10.43.0.10"), ip_address("fd00:43::a")),
        "cluster_domain": "corp.example",
    },
    runtime={"snapshotter": "native", "default_runtime": "crun", "nonroot_devices": True},
    kubelet_args=("max-pods=200",),
)
RUNTIMES = {"crun": Runtime("io.containerd.runc.v2", Path("/usr/bin/crun"))}

CASES: dict[str, tuple[NodeConfig, HostFacts, Registries, dict[str, Runtime]]] = {
    "default": (server_config(), SYSTEMD_HOST, Registries(), {}),
    "micro-vm": (server_config(), MICRO_VM, Registries(), {}),
    "everything": (EVERYTHING, SYSTEMD_HOST, REGISTRIES, RUNTIMES),
}


@pytest.mark.parametrize("which", CASES)
def test_containerd(which: str) -> None:
    config, facts, registries, runtimes = CASES[which]
    text = containerd_config.render(config, facts, image(config, "pause"), registries, runtimes)
    assert_golden(GOLDEN / which / "containerd.toml", text)


@pytest.mark.parametrize("which", CASES)
def test_kubelet(which: str) -> None:
    config, facts, *_ = CASES[which]
    content = kubelet_config.configuration(
        config, facts, Path("/etc/resolv.conf"), servicelb=which == "everything"
    )
    assert_golden(GOLDEN / which / "kubelet.conf", yaml.safe_dump(content, sort_keys=False))
    assert_golden(GOLDEN / which / "kubelet-arguments", "\n".join(kubelet_config.arguments(config)) + "\n")


@pytest.mark.parametrize("disable_default", [False, True])
def test_registry_hosts(disable_default: bool) -> None:
    for name, host in hosts(REGISTRIES, disable_default=disable_default).items():
        directory = "certs.d-without-default" if disable_default else "certs.d"
        assert_golden(GOLDEN / directory / name / "hosts.toml", render(host))


def test_crictl() -> None:
    assert_golden(GOLDEN / "crictl.yaml", containerd_config.crictl_config(server_config().paths))
