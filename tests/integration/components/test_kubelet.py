"""The real kubelet reads the generated configuration.

It decodes and checks the configuration before it does anything else; here it ends right after that, because there are
no certificates.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml

from rke2.components import kubelet_config
from rke2.host.facts import HostFacts, detect
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.isolation import isolated
from tests.machines import MICRO_VM, SYSTEMD_HOST, USER_NAMESPACE

pytestmark = [pytest.mark.content, pytest.mark.root]


def run(tmp_path: Path, facts: HostFacts, **changes: object) -> str:
    """The kubelet's output until it ends."""
    config = server_config(
        paths_under(tmp_path),
        node={"ips": (ip_address("192.0.2.1"),), "taints": ("a=b:NoExecute",), "labels": ("c=d",)},
        kubelet_args=("config=" + str(tmp_path / "own.yaml"),),
    )
    own = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "maxPods": 77}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own | changes))
    content = kubelet_config.configuration(config, facts, Path("/etc/resolv.conf"), servicelb=True)
    kubelet_config.write(config, content)
    arguments = [
        argument
        for argument in kubelet_config.arguments(config)
        # Without a kubeconfig it never tries to find an API server.
        if not argument.startswith(("--kubeconfig=", "--node-labels=", "--node-ip="))
    ]
    with isolated() as network:
        result = network.run("timeout", "15", binary("kubelet"), *arguments, "--v=2", timeout=30)
    return result.stdout + result.stderr


@pytest.mark.parametrize("facts", [SYSTEMD_HOST, MICRO_VM, USER_NAMESPACE])
def test_kubelet_accepts_the_configuration(tmp_path: Path, facts: HostFacts) -> None:
    # It compares with the host it runs on.
    facts = replace(facts, cgroup_version=detect().cgroup_version)
    output = run(tmp_path, facts)
    # The values it has after reading all files and flags.
    driver = "systemd" if facts.systemd_cgroups else "cgroupfs"
    for flag in (
        f'--cgroup-driver="{driver}"',
        '--serialize-image-pulls="false"',
        '--max-pods="77"',
        '--sync-frequency="30s"',
    ):
        assert f"FLAG: {flag}" in output
    # The first file that it opens once the configuration has been accepted.
    assert "client-ca.crt: no such file or directory" in output, output[-2000:]


def test_a_wrong_drop_in_would_be_noticed(tmp_path: Path) -> None:
    assert "maxPods" in run(tmp_path, SYSTEMD_HOST, maxPods="many")


def test_every_flag_is_accepted() -> None:
    config = server_config(node={"labels": ("a=b",)})
    arguments = kubelet_config.arguments(config, cloud_controller=True, credential_provider=True)
    result = subprocess.run(
        [binary("kubelet"), *arguments, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr[-500:]
