"""The node that is looked at: its role, its files, and the release that wrote them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rke2.config.flag import Command
from rke2.config.paths import Paths

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:[-+]([a-z0-9.]+))?")


@dataclass(frozen=True)
class Version:
    """A release, as in ``v1.36.4+rke2r1``."""

    major: int
    minor: int
    patch: int
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """The release `text` begins with; ``-`` may stand for ``+``, as in the name of a data key."""
        found = _VERSION.match(text)
        if not found:
            return None
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] or "")

    def __str__(self) -> str:
        number = f"v{self.major}.{self.minor}.{self.patch}"
        return f"{number}+{self.build}" if self.build else number


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
    def version(self) -> Version | None:
        """Of the runtime image that ``bin`` leads to; None if nobody can tell."""
        try:
            key = self.paths.bin.readlink().parent.name
        except OSError:
            return None
        # data/<tag>-<12 hex digits>/bin
        return Version.parse(re.sub(r"-[0-9a-f]{12}$", "", key))


def role_of(paths: Paths) -> Command:
    """What the data directory is of: a server's has a directory of its own."""
    return "server" if (paths.tls / "server-ca.crt").exists() or paths.etcd.exists() else "agent"
