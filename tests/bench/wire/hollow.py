"""Hollow kubelets: the kubelet's own code with a container runtime that runs nothing.

The program is k8s.io/kubernetes/cmd/kubemark, compiled like the components and from the same pinned sources, but for
this bench alone: no release contains it. One process is one node, so memory limits how many there can be.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from distribution.builder import components, lines, recipes, toolchain
from distribution.builder.recipes import Binary
from rke2_lab.host import LabHost

MEBIBYTES = 90
"""What one takes in memory, and a reserve."""

_PROGRAM = "/var/tmp/kubemark"
_FIRST_PORT = 20000


def build() -> Path:
    """The program; takes minutes the first time.

    Raises:
        DistributionError: it cannot be built.
    """
    places = lines.sources()
    recipe = msgspec.structs.replace(
        recipes.load(places.components / "kubernetes"),
        name="kubemark",
        binaries=(Binary("kubemark", "k8s.io/kubernetes/cmd/kubemark"),),
    )
    tools = toolchain.find(recipe.apt)
    component = components.component(recipe, tools, places)
    if not component.is_built:
        asyncio.run(components.build(component, tools, places, lambda note: None))
    return component.binary("kubemark")


def room_for(count: int) -> None:
    """Raise MemoryError unless the machine's memory is enough for so many."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    available = next(int(line[1]) // 1024 for line in lines if line[0] == "MemAvailable:")
    if count * MEBIBYTES > available:
        raise MemoryError(
            f"{count} hollow kubelets need {count * MEBIBYTES} MiB, {available} MiB are available"
        )


class HollowKubelets:
    """Those of one host: each is the kubelet of a simulated agent there, and shows that one's certificate.

    Args:
        server: address of the API server, ``host:port``.
        agents: directories of the agents, as the host sees them; their names are the nodes'.
    """

    def __init__(self, host: LabHost, program: Path, server: str, agents: list[Path]) -> None:
        shutil.copy(program, host.path(_PROGRAM))
        lines = [
            _command(host, directory, server, _FIRST_PORT + number) for number, directory in enumerate(agents)
        ]
        with (host.directory / "hollow.log").open("ab") as log:
            self._process = host.popen(
                ["sh", "-c", "\n".join([*lines, "wait"])],
                env={"TMPDIR": "/var/tmp"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self) -> None:
        """End the shell; the processes end with their host."""
        self._process.kill()
        self._process.wait()


def _command(host: LabHost, directory: Path, server: str, port: int) -> str:
    kubeconfig = directory / "hollow.kubeconfig"
    host.write_file(kubeconfig, json.dumps(_kubeconfig(directory / "agent", server)))
    arguments = [
        "--morph=kubelet",
        f"--name={directory.name}",
        f"--kubeconfig={kubeconfig}",
        f"--kubelet-port={port}",
        "--kubelet-read-only-port=0",
        "--use-host-image-service=false",
    ]
    return f"{_PROGRAM} {' '.join(arguments)} &"


def _kubeconfig(agent: Path, server: str) -> dict[str, object]:
    cluster = {"server": f"https://{server}", "certificate-authority": os.fspath(agent / "server-ca.crt")}
    user = {
        "client-certificate": os.fspath(agent / "client-kubelet.crt"),
        "client-key": os.fspath(agent / "client-kubelet.key"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "Default", "context": {"cluster": "local", "user": "user"}}],
        "current-context": "Default",
    }
