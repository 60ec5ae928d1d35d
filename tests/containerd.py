"""A containerd in namespaces of its own, for tests and benches: with the CRI as a node has it, or bare."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rke2.components import containerd_config
from rke2.config.paths import Paths
from rke2.content.images.cri import CRI
from rke2.content.images.store import ImageStore
from rke2.content.registries.settings import Registries
from rke2.errors import ComponentError
from rke2.host.facts import detect
from tests.binaries import DIRECTORY, binary
from tests.configs import paths_under, server_config
from tests.isolation import Isolated, isolated

PAUSE = "docker.io/rke2py/pause:test"
START_SECONDS = 30.0

_BARE = """version = 3
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
address = "{directory}/containerd.sock"
"""


@dataclass(frozen=True)
class Running:
    """What runs, and where its data is."""

    network: Isolated
    store: ImageStore
    cri: CRI
    paths: Paths
    log: Path


@asynccontextmanager
async def containerd(directory: Path) -> AsyncIterator[Running]:
    """Configured as on a node, with the CRI; runs while the block does, in namespaces without uplink."""
    config = server_config(paths_under(directory), runtime={"snapshotter": "native"})
    containerd_config.write(config, containerd_config.render(config, detect(), PAUSE, Registries(), {}))
    paths, log = config.paths, directory / "containerd.log"
    paths.images.mkdir(parents=True, exist_ok=True)
    command = _command(DIRECTORY, *containerd_config.arguments(paths, {}))
    cri = CRI(binary("crictl"), paths.containerd_socket)
    with isolated() as network, network.running(*command, log=log):
        await until_up(cri)
        yield Running(network, ImageStore(binary("ctr"), paths.containerd_socket, "native"), cri, paths, log)


async def until_up(cri: CRI) -> str:
    """Wait until containerd answers; its version."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                return await cri.version()
            except ComponentError:
                await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Bare:
    """A containerd without the CRI.

    Attributes:
        process: containerd itself.
        ctr: the command line of its client, to which arguments are added.
    """

    process: subprocess.Popen[bytes]
    socket: Path
    ctr: tuple[str | Path, ...]


@contextmanager
def bare_containerd(host: Isolated, directory: Path, programs: Path = DIRECTORY) -> Iterator[Bare]:
    """Without the CRI and with containerd's own defaults; runs in `host` while the block does.

    Args:
        directory: for its data, configuration and log.
        programs: where containerd and ctr are.
    """
    (directory / "config.toml").write_text(_BARE.format(directory=directory))
    socket, log = directory / "containerd.sock", directory / "containerd.log"
    ctr = (programs / "ctr", "-a", socket, "-n", "k8s.io")
    with host.running(*_command(programs, "-c", directory / "config.toml"), log=log) as process:
        deadline = time.monotonic() + START_SECONDS
        while host.run(*ctr, "version").returncode != 0:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Bare(process, socket, ctr)


def _command(programs: Path, *arguments: str | Path) -> tuple[str | Path, ...]:
    """containerd with `programs` first in its PATH: it looks its shim and runc up there."""
    return ("env", f"PATH={programs}:/usr/sbin:/usr/bin:/sbin:/bin", programs / "containerd", *arguments)
