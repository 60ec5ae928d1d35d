"""A registry server on a host of the lab: Debian's docker-registry, filled from image archives."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from rke2.errors import LabError
from rke2_lab import roots
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode

HOST = "registry"
PORT = 5000
PROGRAM = "docker-registry"

_DIRECTORY = Path("/var/lib/rancher/registry")
"""On the host's disk, not in its memory."""
_ARCHIVES = Path("/var/lib/rancher/archives")

_WAIT = f"""
import socket, time
for attempt in range(200):
    try:
        socket.create_connection(("127.0.0.1", {PORT}), 1).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    raise SystemExit(1)
"""


class Registry:
    """The registry of `lab`, on a host that is made if it is not there."""

    def __init__(self, lab: Lab) -> None:
        if not shutil.which(PROGRAM):
            raise LabError(f"{PROGRAM} is not installed on this machine", f"apt-get install {PROGRAM}")
        self.lab = lab
        self.host: LabHost = lab.add_host(HOST, roots.MACHINE)

    @property
    def url(self) -> str:
        """Where the other hosts reach it."""
        return f"http://{self.host.address}:{PORT}"

    @property
    def log(self) -> Path:
        """What it writes, on the machine."""
        return self.host.directory / "registry.log"

    def start(self, **sections: dict[str, Any]) -> None:
        """Have it serve; it goes on when this process ends.

        Args:
            sections: merged into its configuration, ``auth`` or ``http`` for example.

        Raises:
            LabError: it does not come up.
        """
        if self.host.exec([self.host.python, "-c", _WAIT.replace("range(200)", "range(1)")]).returncode == 0:
            return
        config: dict[str, Any] = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(_DIRECTORY / "data")}},
            **sections,
            "http": {"addr": f":{PORT}", **sections.get("http", {})},
        }
        self.host.write_file(_DIRECTORY / "config.yml", yaml.safe_dump(config))
        with self.log.open("ab") as log:
            self.host.popen(
                [PROGRAM, "serve", str(_DIRECTORY / "config.yml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.host.exec([self.host.python, "-c", _WAIT]).returncode:
            raise LabError(f"{PROGRAM} does not come up on {HOST}", f"its log is {self.log}")

    def push(self, archive: Path, scheme: str = "http") -> None:
        """Put the images of an archive into it.

        Args:
            scheme: ``https`` if it was started with a certificate; the host's registries.yaml says how to trust it.

        Raises:
            LabError: it does not take them.
        """
        # In a directory of the host: it does not see all of the machine's.
        placed = _ARCHIVES / archive.name
        self.host.place_file(archive, placed)
        done = LabNode(self.host).rke2("images", "push", f"{scheme}://127.0.0.1:{PORT}", str(placed))
        self.host.path(placed).unlink()
        if done.returncode:
            raise LabError(f"{archive} was not pushed: {done.stderr.strip()}")
