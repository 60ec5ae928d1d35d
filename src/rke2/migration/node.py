"""The node that is looked at: its role, its files, and the release that wrote them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rke2.config.flag import Command
from rke2.config.paths import Paths
from rke2.release_version import ReleaseVersion


@dataclass(frozen=True)
class ExistingNode:
    """What is checked.

    Args:
        role: what the node is, or is to be looked at as.
        program: where RKE2's program is installed.
        proc: the process file system.
    """

    role: Command
    paths: Paths
    program: Path = Path("/usr/local/bin/rke2")
    proc: Path = Path("/proc")

    @property
    def is_server(self) -> bool:
        return self.role == "server"

    @property
    def version(self) -> ReleaseVersion | None:
        """Of the runtime image that ``bin`` leads to; None if nobody can tell."""
        try:
            key = self.paths.bin.readlink().parent.name
        except OSError:
            return None
        # data/<tag>-<12 hex digits>/bin
        return ReleaseVersion.parse(re.sub(r"-[0-9a-f]{12}$", "", key))


def role_of(paths: Paths) -> Command:
    """What the data directory is of: a server's has a directory of its own."""
    return "server" if (paths.tls / "server-ca.crt").exists() or paths.etcd.exists() else "agent"
