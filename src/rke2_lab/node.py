"""rke2 on a host of a lab: its content and configuration, its process, its log."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from rke2.config.cni import DEFAULT as DEFAULT_CNI
from rke2.config.cni import foreign_archive
from rke2.config.paths import Paths
from rke2.errors import LabError
from rke2.host.files import ensure_dir, write_atomic
from rke2_lab import program
from rke2_lab.host import LabHost
from rke2_lab.process import ProcessId

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.lz4", ".tar.bz2")

LAB_CONFIG = {
    # All hosts share the machine's disk: a nearly full one must neither evict pods nor delete unused images.
    "kubelet-arg+": [
        "eviction-hard=imagefs.available<1%,nodefs.available<1%",
        "eviction-minimum-reclaim=imagefs.available=1%,nodefs.available=1%",
        "image-gc-high-threshold=100",
        "image-gc-low-threshold=99",
    ],
}
"""What a node needs to know because its host is a lab's; ``+`` adds to what the user says."""

LAB_CONFIG_FILE = "00-lab.yaml"
CLUSTER_CONFIG_FILE = "10-cluster.yaml"

Role = Literal["server", "agent"]


class LabNode:
    """rke2 on `host`.

    Args:
        host: a host of a lab; it must run for `start` and everything that runs commands.
    """

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self._paths = Paths()

    @property
    def log(self) -> Path:
        """What rke2 writes, on the machine."""
        return self.host.directory / "rke2.log"

    @property
    def _process_file(self) -> Path:
        return self.host.directory / "rke2.json"

    @property
    def role(self) -> Role | None:
        """What the host is in the lab's cluster, None if it is no part of it."""
        text = self._role_file.read_text().strip() if self._role_file.exists() else ""
        return next((role for role in get_args(Role) if role == text), None)

    @property
    def _role_file(self) -> Path:
        return self.host.directory / "role"

    # --- before the start --------------------------------------------------------------------------
    def enrol(self, role: Role, settings: Mapping[str, str]) -> None:
        """Make the host a node of the lab's cluster.

        Args:
            settings: what its configuration says of the cluster: token, server to join.
        """
        self.host.write_file(self._cluster_config, yaml.safe_dump(dict(settings), sort_keys=False))
        write_atomic(self._role_file, f"{role}\n")

    def enrolled_with(self) -> dict[str, str]:
        """The settings given to `enrol`."""
        settings: dict[str, str] = yaml.safe_load(self.host.path(self._cluster_config).read_text())
        return settings

    @property
    def _cluster_config(self) -> Path:
        return self._paths.config_dir / "config.yaml.d" / CLUSTER_CONFIG_FILE

    def configure(self, config: Path | None = None) -> None:
        """Write the lab's drop-in and, if given, `config` as the node's config.yaml."""
        drop_in = self._paths.config_dir / "config.yaml.d" / LAB_CONFIG_FILE
        self.host.write_file(drop_in, yaml.safe_dump(LAB_CONFIG, sort_keys=False))
        if config:
            self.host.write_file(self._paths.config_dir / "config.yaml", _read(config))

    def place_content(self, content: Path, cni: str = DEFAULT_CNI.name) -> None:
        """Give the node the image archives and configuration drop-ins of `content`.

        Of the CNI plugins' archives only those of `cni`: the node would import the others for nothing.

        Archives are hard links where the file system allows it. Lists of images (``.txt``) are left out: rke2
        would pull what they name.
        """
        ensure_dir(self.host.path(self._paths.images))
        for archive in archives(content):
            if foreign_archive(archive.name, cni):
                continue
            self.host.place_file(archive, self._paths.images / archive.name)
        self.place_drop_ins(content)

    def place_drop_ins(self, content: Path) -> None:
        """Give the node the configuration drop-ins of `content` alone."""
        for drop_in in (file for file in _files(content) if file.suffix == ".yaml"):
            self.host.write_file(self._paths.config_dir / "config.yaml.d" / drop_in.name, _read(drop_in))

    def use_registry(self, url: str) -> None:
        """Have every image come from the registry at `url`."""
        rules = {"mirrors": {"*": {"endpoint": [url]}}}
        self.host.write_file(self._registries, yaml.safe_dump(rules))

    @property
    def _registries(self) -> Path:
        return self._paths.config_dir / "registries.yaml"

    @property
    def has_content(self) -> bool:
        """Whether there is an archive or a registry to boot from (a host reaches only those of its lab)."""
        archived = any(
            file.name.endswith(ARCHIVE_SUFFIXES) for file in _files(self.host.path(self._paths.images))
        )
        return archived or self.host.path(self._registries).exists()

    # --- the process -------------------------------------------------------------------------------
    @property
    def process(self) -> ProcessId | None:
        """The rke2 process that `start` made, None if it has ended."""
        if not self._process_file.exists():
            return None
        process = ProcessId(**json.loads(self._process_file.read_text()))
        return process if process.alive else None

    def start(self, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start rke2 in the node's role, as a server if it has none; it goes on when this process ends.

        Args:
            env: variables besides those of every process of the host.

        Raises:
            LabError: it runs already.
        """
        if running := self.process:
            raise LabError(f"rke2 runs already on {self.host.name} (process {running.pid})")
        with self.log.open("ab") as log:
            started = self.popen(
                self.command(self.role or "server"),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        write_atomic(self._process_file, json.dumps(asdict(ProcessId.of(started.pid))) + "\n")
        return started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the rke2 process, if it runs."""
        process = self.process
        if process is None:
            return
        with process.pidfd() as fd:
            if fd is not None:
                signal.pidfd_send_signal(fd, number)

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``rke2 <arguments>`` in the host, for `popen`."""
        return [*self.host.product, *arguments]

    def popen(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start `command`, which is of `command`, in the host; see `LabHost.popen`."""
        return self.host.popen(command, env=self._environment() | dict(env or {}), tools=False, **options)

    def _environment(self) -> dict[str, str]:
        """Makes this very rke2 importable in the host, installed or not, unless the host has one of its own."""
        return {} if self.host.record.program else {"PYTHONPATH": str(program.SOURCE)}

    def rke2(self, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``rke2 <arguments>`` in the host to its end."""
        return self.host.exec(self.command(*arguments), env=self._environment(), timeout=timeout)

    def kubectl(self, *arguments: str, timeout: float | None = 60.0) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the host as the cluster's administrator."""
        return self.host.exec(["kubectl", *arguments], timeout=timeout)


def archives(directory: Path) -> list[Path]:
    """The image archives in `directory`, by name."""
    return [file for file in _files(directory) if file.name.endswith(ARCHIVE_SUFFIXES)]


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(file for file in directory.iterdir() if file.is_file() and not file.name.startswith("."))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise LabError(f"cannot read {file}: {error.strerror}") from error
