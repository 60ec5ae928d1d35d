"""The order of a server's boot, as one can read it: a change of it is a decision, not an accident."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rke2.boot.node import Node
from rke2.boot.server import phases
from rke2.config.model import ComponentSettings, NodeConfig
from rke2.host.facts import detect
from rke2.lifecycle.phases import Phase, check_order
from rke2.lifecycle.progress import Progress
from tests.configs import paths_under, server_config
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent / "boot"


async def boot_of(config: NodeConfig) -> list[Phase]:
    progress = Progress(config.paths.status, "server", "v1")
    async with asyncio.TaskGroup() as services:
        return phases(Node.assemble(config, detect(), progress, services))


def listed(table: list[Phase]) -> str:
    return "".join(f"{phase.name:<24} after {', '.join(phase.requires) or 'nothing'}\n" for phase in table)


async def test_boot_of_a_full_server(tmp_path: Path) -> None:
    table = await boot_of(server_config(paths_under(tmp_path)))
    check_order(table)
    assert_golden(GOLDEN / "server.txt", listed(table))


async def test_a_disabled_component_has_no_phase(tmp_path: Path) -> None:
    off = {name: ComponentSettings(disabled=True) for name in ("kube-proxy", "kube-scheduler")}
    table = await boot_of(server_config(paths_under(tmp_path), components=off))
    check_order(table)
    assert not {phase.name for phase in table} & off.keys()
