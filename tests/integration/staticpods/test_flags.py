"""The real binaries accept every flag the pods give them (parsed by them, then ``--version`` ends it)."""

from __future__ import annotations

import subprocess
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.staticpods import kube_apiserver, kube_controller_manager, kube_proxy, kube_scheduler
from rke2.staticpods.pod import StaticPod
from tests.binaries import binary
from tests.configs import server_config

IPV6 = {"cluster_cidrs": (ip_network("fd00:42::/56"),), "service_cidrs": (ip_network("fd00:43::/112"),)}
CONFIGS = {
    "default": server_config(),
    "cis": server_config(profile="cis"),
    "ipv6": server_config(network=IPV6),
}


def pods(config: NodeConfig) -> list[StaticPod]:
    return [
        kube_apiserver.pod(config, "i", egress=True),
        kube_controller_manager.pod(config, "i", cloud_controller=True),
        kube_scheduler.pod(config, "i"),
        kube_proxy.pod(config, "i"),
    ]


def run(name: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([binary(name), *args], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.content
@pytest.mark.parametrize("which", CONFIGS)
def test_every_default_flag_is_accepted(which: str) -> None:
    for pod in pods(CONFIGS[which]):
        result = run(pod.name, *pod.args, "--version")
        assert result.returncode == 0, f"{pod.name}: {result.stderr[-500:]}"
        assert result.stdout.startswith("Kubernetes v1.")
        assert "deprecated" not in result.stderr.lower(), result.stderr


@pytest.mark.content
def test_a_flag_that_does_not_exist_would_be_noticed() -> None:
    config = server_config(components={"kube-scheduler": ComponentSettings(args=("no-such-flag=1",))})
    result = run("kube-scheduler", *kube_scheduler.pod(config, "i").args, "--version")
    assert result.returncode != 0
    assert "unknown flag: --no-such-flag" in result.stderr


@pytest.mark.content
def test_kube_proxy_understands_its_flags_as_meant(tmp_path: Path) -> None:
    written = tmp_path / "config.yaml"
    # kube-proxy adds its default port to a bare address, but not when it only writes its configuration.
    with_port = "--healthz-bind-address=127.0.0.1:10256"
    run("kube-proxy", *kube_proxy.pod(server_config(), "i").args, with_port, f"--write-config-to={written}")
    config = yaml.safe_load(written.read_text())
    assert config["mode"] == "iptables"
    assert config["hostnameOverride"] == "node1"
    linux = config["linux"]["conntrack"] if "linux" in config else config["conntrack"]
    assert linux["maxPerCore"] == 0
    assert linux["tcpEstablishedTimeout"] == linux["tcpCloseWaitTimeout"] == "0s"
