from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from rke2.config.model import NodeConfig
from rke2.migration.check import check
from rke2.migration.findings import MigrationFinding
from rke2.migration.node import ExistingNode, role_of
from tests.prepared import prepared_server
from tests.rke2_server import RKE2Server

RKE2S = b"\x7fELF \0 github.com/rancher/rke2/pkg/cli/cmds \0"
"""What tells a program of RKE2."""


@dataclass
class Old:
    """A server that RKE2 ran on, and the check of it."""

    files: RKE2Server
    config: NodeConfig

    @property
    def node(self) -> ExistingNode:
        root, paths = self.files.root, self.config.paths
        return ExistingNode(role_of(paths), paths, root / "usr/local/bin/rke2", root / "proc")

    def configure(self, text: str) -> None:
        (self.files.root / "etc/rancher/rke2/config.yaml").write_text(text)

    def check(self) -> list[MigrationFinding]:
        return check(self.node, str(self.files.root / "etc/rancher/rke2/config.yaml"))

    def found(self, kind: str) -> list[MigrationFinding]:
        return [finding for finding in self.check() if finding.kind == kind]


@pytest.fixture
async def old(tmp_path: Path) -> Old:
    """With every default, certificates that can be used, and its program in place."""
    config = await prepared_server(tmp_path, node={"detected_ips": (ip_address("192.0.2.1"),)})
    files = RKE2Server(tmp_path).make()
    (tmp_path / "proc").mkdir()
    program = tmp_path / "usr/local/bin/rke2"
    program.parent.mkdir(parents=True)
    program.write_bytes(RKE2S)
    return Old(files, config)
