"""containerd pulls by what we make of registries.yaml: from a registry with a CA of its own and a password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rke2.components import containerd_config
from rke2.content.images.cri import CRI
from rke2.content.images.pull_queue import Pulls
from rke2.content.registries.hosts_toml import write_hosts
from rke2.content.registries.relayed import relay_for, through
from rke2.content.registries.settings import load_registries
from rke2.errors import ComponentError
from rke2.host.architecture import oci_architecture
from rke2.host.facts import detect
from rke2.registry.source import RegistryCredentials, Source, Trust
from tests import registry
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.containerd import until_up
from tests.integration.registry.certificates import Authority
from tests.isolation import isolated
from tests.unit.content.archive_maker import layer

pytestmark = [pytest.mark.root, pytest.mark.content]

ADDRESS = f"192.0.2.1:{registry.PORT}"
IMAGE = registry.image([layer({"hello": b"world"})], oci_architecture())


@pytest.fixture
async def cri(tmp_path: Path) -> AsyncIterator[CRI]:
    """containerd beside a guarded registry that holds ``team/app:v1``."""
    registry.program()
    authority = Authority(tmp_path / "pki")
    server = authority.issue("registry", "192.0.2.1")
    (tmp_path / "htpasswd").write_text(registry.HTPASSWD)
    guarded = registry.configuration(
        tmp_path / "registry", tls={"certificate": str(server.certificate), "key": str(server.key)}
    )
    guarded["auth"] = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    rules = tmp_path / "registries.yaml"
    rules.write_text(
        f"""
mirrors:
  docker.io: {{endpoint: ["https://{ADDRESS}"]}}
  broken.example: {{endpoint: ["http://192.0.2.1:1"]}}  # the only one, as the registry itself is not asked
  official.example:
    endpoint: ["https://{ADDRESS}"]
    rewrite: {{"^some/(.*)": "team/$1"}}
configs:
  "{ADDRESS}":
    auth: {{username: {registry.USER}, password: {registry.PASSWORD}}}
    tls: {{ca_file: {authority.certificate}}}
"""
    )
    config = server_config(paths_under(tmp_path), runtime={"snapshotter": "native"})
    content = containerd_config.render(config, detect(), "pause", load_registries(rules), {})
    containerd_config.write(config, content)
    relay = relay_for(load_registries(rules), 5999, disable_default=True)
    assert relay
    write_hosts(
        config.paths.containerd_certs_d,
        load_registries(rules),
        disable_default=True,
        through=partial(through, relay),
    )
    made = CRI(binary("crictl"), config.paths.containerd_socket)
    arguments = containerd_config.arguments(config.paths, {})
    with (
        isolated() as network,
        registry.serving(network, tmp_path / "registry", guarded),
        network.running(binary("containerd"), *arguments, log=tmp_path / "containerd.log"),
        network.entered(),
    ):  # for the rest of the test: the relay opens its sockets in there
        credentials = RegistryCredentials(registry.USER, registry.PASSWORD)
        source = Source(f"https://{ADDRESS}/v2", "", credentials, Trust(str(authority.certificate)))
        for name in ("team/app", "team/other"):
            await registry.push(source, name, "v1", *IMAGE)
        await relay.start()
        await until_up(made)
        yield made
        await relay.close()


async def test_each_image_is_pulled_once(cri: CRI) -> None:
    said: list[str] = []
    pulls = Pulls(cri)
    await asyncio.gather(*(pulls.ensure("index.docker.io/team/app:v1", said.append) for _ in range(3)))
    assert said == ["image docker.io/team/app:v1 to be pulled"]
    assert "docker.io/team/app:v1" in await cri.images()


async def test_what_cannot_be_pulled_is_tried_again(cri: CRI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rke2.content.images.pull_queue.FIRST_DELAY", 0.1)
    said: list[str] = []
    waiting = asyncio.create_task(Pulls(cri).ensure("broken.example/x/y:v1", said.append))
    async with asyncio.timeout(30):
        while len(said) < 4:
            await asyncio.sleep(0.05)
    waiting.cancel()
    assert said[1].startswith("image broken.example/x/y:v1 cannot be pulled: crictl pull failed: ")
    assert "connection refused" in said[1]


async def test_a_mirror_with_other_names(cri: CRI) -> None:
    """Through the relay, which adds password and CA."""
    await cri.pull("official.example/some/app:v1")
    assert "official.example/some/app:v1" in await cri.images()
    with pytest.raises(ComponentError, match=r"official\.example/some/none:v1: not found"):
        await cri.pull("official.example/some/none:v1")
