"""The order of a boot, as one can read it: a change of it is a decision, not an accident."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rke2.boot.plans import agent, reset, server
from rke2.boot.process import Boot
from rke2.config.model import ComponentSettings, JoinSettings, NodeConfig, ResetSettings
from rke2.host.facts import detect
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.phases import Phase, check_order
from rke2.lifecycle.progress import Progress
from rke2.lifecycle.services import Services
from rke2.recovery.state import Rejoin, Restore, write_rejoin, write_restore
from tests.configs import agent_config, paths_under, server_config
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent / "boot"
JOIN = JoinSettings("https://192.0.2.9:9345", "secret")
OFF = ComponentSettings(disabled=True)

ROLES = {
    "server": {},
    "etcd-only": dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler"), OFF),
    "control-plane-only": {"etcd": OFF},
}


async def boot_of(config: NodeConfig, phases: Callable[[Boot], list[Phase]]) -> list[Phase]:
    progress = Progress(config.paths.status, config.role, "v1")
    return phases(Boot(config, detect(), progress, Services(), Liveness(print, lambda: None)))


def listed(table: list[Phase]) -> str:
    return "".join(f"{phase.name:<24} after {', '.join(phase.requires) or 'nothing'}\n" for phase in table)


@pytest.mark.parametrize("role", ROLES)
async def test_boot_of_a_server(role: str, tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), components=ROLES[role], join=JOIN)
    table = await boot_of(config, server.phases)
    check_order(table)
    assert_golden(GOLDEN / f"{role}.txt", listed(table))


async def test_boot_of_an_agent(tmp_path: Path) -> None:
    table = await boot_of(agent_config(paths_under(tmp_path), join=JOIN), agent.phases)
    check_order(table)
    assert_golden(GOLDEN / "agent.txt", listed(table))


@pytest.mark.parametrize(("name", "path"), [("reset", None), ("restore", Path("/s"))])
async def test_a_cluster_reset(name: str, path: Path | None, tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), server={"reset": ResetSettings(path)})
    table = await boot_of(config, reset.phases)
    check_order(table)
    assert_golden(GOLDEN / f"{name}.txt", listed(table))


async def test_a_disabled_component_has_no_phase(tmp_path: Path) -> None:
    off = dict.fromkeys(("kube-proxy", "kube-scheduler"), OFF)
    table = await boot_of(server_config(paths_under(tmp_path), components=off), server.phases)
    check_order(table)
    assert not {phase.name for phase in table} & off.keys()


@pytest.mark.parametrize(("name", "snapshot"), [("lead-restore", "/snapshots/s"), ("lead-recovery", "")])
async def test_boot_of_a_server_that_leads_a_restore(name: str, snapshot: str, tmp_path: Path) -> None:
    """Whatever its ``server`` says; and what it tells the others comes after everything that can fail."""
    config = server_config(paths_under(tmp_path), join=JOIN)
    write_restore(config.paths, Restore("1", snapshot, 0.0, step="planned"))
    table = await boot_of(config, server.phases)
    check_order(table)
    assert_golden(GOLDEN / f"{name}.txt", listed(table))


async def test_boot_of_a_server_that_joins_a_restored_cluster(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    write_rejoin(config.paths, Rejoin("1", "https://192.0.2.9:9345"))
    table = await boot_of(config, server.phases)
    check_order(table)
    assert_golden(GOLDEN / "rejoin.txt", listed(table))
    # The leader waits for the end of the pods, and "cluster" for the leader.
    requires = {phase.name: phase.requires for phase in table}
    behind, names = set[str](), ["former pods"]
    while names:
        name = names.pop()
        behind.add(name)
        names += requires[name]
    assert "cluster" not in behind
