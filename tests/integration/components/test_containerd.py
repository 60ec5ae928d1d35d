"""The real containerd with the generated configuration, asked through the real crictl."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rke2.components import containerd_config
from rke2.components.runtimes import Runtime
from rke2.content.images.cri import CRI
from rke2.content.registries.settings import Auth, Registries, RegistryConfig
from rke2.host.facts import HostFacts, detect
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.containerd import PAUSE, until_up
from tests.isolation import isolated
from tests.machines import MICRO_VM, SYSTEMD_HOST, USER_NAMESPACE

pytestmark = pytest.mark.content

REGISTRIES = Registries(
    configs={"reg.example:5000": RegistryConfig(auth=Auth(username="u", password='p"\\'))}
)


@pytest.mark.parametrize("facts", [SYSTEMD_HOST, MICRO_VM, USER_NAMESPACE])
def test_containerd_knows_every_key(tmp_path: Path, facts: HostFacts) -> None:
    config = server_config(paths_under(tmp_path), runtime={"default_runtime": "crun"}, node={"selinux": True})
    for name in ("rdt_config.yaml", "blockio_config.yaml"):
        file = config.paths.containerd_config.parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    runtimes = {"crun": Runtime("io.containerd.runc.v2", Path("/usr/bin/crun"))}
    containerd_config.write(config, containerd_config.render(config, facts, PAUSE, REGISTRIES, runtimes))
    command: list[str | Path] = [binary("containerd"), "-c", config.paths.containerd_config, "config", "dump"]
    dump = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "unknown key" not in dump.stderr, dump.stderr
    assert f"sandbox = '{PAUSE}'" in dump.stdout
    assert "SystemdCgroup = true" in dump.stdout or facts is MICRO_VM
    assert f"address = '{config.paths.containerd_socket}'" in dump.stdout


@pytest.mark.root
async def test_containerd_serves_the_cri(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    content = containerd_config.render(config, detect(), PAUSE, REGISTRIES, {})
    containerd_config.write(config, content)
    cri = CRI(binary("crictl"), config.paths.containerd_socket)
    log = tmp_path / "containerd.log"
    with (
        isolated() as network,
        network.running(binary("containerd"), *containerd_config.arguments(config.paths, {}), log=log),
    ):
        assert (await until_up(cri)).startswith("containerd ")
        assert await cri.sandboxes("kube-system") == ()
        assert await cri.images() == frozenset()
        await cri.remove_sandbox("0" * 64)
    assert "failed to load plugin" not in log.read_text()
