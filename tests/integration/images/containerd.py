"""A containerd of its own with the CRI, and its image store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rke2.components import containerd_config
from rke2.config.paths import Paths
from rke2.content.cri import CRI
from rke2.content.image_store import ImageStore
from rke2.content.registries import Registries
from rke2.errors import ComponentError
from rke2.host.facts import detect
from tests.binaries import DIRECTORY, binary
from tests.configs import paths_under, server_config
from tests.isolation import isolated

PAUSE = "docker.io/rke2py/pause:test"


@dataclass(frozen=True)
class Running:
    """What runs, and where its data is."""

    store: ImageStore
    cri: CRI
    paths: Paths
    log: Path


@asynccontextmanager
async def containerd(directory: Path) -> AsyncIterator[Running]:
    """Runs while the block does, in namespaces without uplink."""
    config = server_config(paths_under(directory), runtime={"snapshotter": "native"})
    containerd_config.write(config, containerd_config.render(config, detect(), PAUSE, Registries(), {}))
    paths, log = config.paths, directory / "containerd.log"
    paths.images.mkdir(parents=True, exist_ok=True)
    program = ("env", f"PATH={DIRECTORY}:/usr/sbin:/usr/bin:/sbin:/bin", binary("containerd"))
    cri = CRI(binary("crictl"), paths.containerd_socket)
    with isolated() as network, network.running(*program, *containerd_config.arguments(paths, {}), log=log):
        await _until_up(cri)
        yield Running(ImageStore(binary("ctr"), paths.containerd_socket, "native"), cri, paths, log)


async def _until_up(cri: CRI) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await cri.version()
            except ComponentError:
                await asyncio.sleep(0.1)
            else:
                return
