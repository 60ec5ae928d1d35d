"""What fails before the other servers are told ends the restore, and nothing else; also on a full disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from rke2.boot.leading import before
from rke2.boot.node import Node
from rke2.boot.process import Boot, StartAgain
from rke2.boot.restored import configured
from rke2.config.model import JoinSettings
from rke2.errors import HostError
from rke2.host.facts import detect
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.progress import Progress
from rke2.lifecycle.services import Services
from rke2.recovery import state
from rke2.recovery.state import Rejoin, Restore
from tests.configs import paths_under, server_config


async def node_of(root: Path, restore: Restore) -> Node:
    config = server_config(paths_under(root))
    state.write_restore(config.paths, restore)
    progress = Progress(config.paths.status, config.role, "v1")
    return Node.assemble(
        Boot(configured(config), detect(), progress, Services(), Liveness(print, lambda: None))
    )


async def no_room(node: Node) -> None:
    raise HostError("restoring s needs 100 MiB, where 3 MiB are free", "free space on that file system")


async def unforeseen(node: Node) -> None:
    raise LookupError("nobody thought of this")


async def full(node: Node) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/x")


async def test_what_fails_before_the_others_are_told_ends_the_restore(tmp_path: Path) -> None:
    node = await node_of(tmp_path, Restore("1", "/s", 1.0))
    paths = node.config.paths
    paths.reset_scratch.mkdir(parents=True)
    with pytest.raises(StartAgain):
        await before(no_room)(node)
    found = state.read_restore(paths)
    assert found and found.step == "failed" and "3 MiB are free" in found.failure and found.ended > 1
    assert not paths.reset_scratch.exists()
    assert configured(server_config(paths)).server == server_config(paths).server


async def test_a_fault_of_ours_ends_it_too(tmp_path: Path) -> None:
    """A restore that stays planned is led again by every start, and fails again."""
    node = await node_of(tmp_path, Restore("1", "/s", 1.0))
    with pytest.raises(StartAgain):
        await before(unforeseen)(node)
    found = state.read_restore(node.config.paths)
    assert found and found.step == "failed" and "nobody thought of this" in found.failure


async def test_a_node_that_is_to_begin_again_does_not_end_it(tmp_path: Path) -> None:
    node = await node_of(tmp_path, Restore("1", "/s", 1.0))

    async def again(node: Node) -> None:
        raise StartAgain("something else has changed")

    with pytest.raises(StartAgain, match="something else"):
        await before(again)(node)
    found = state.read_restore(node.config.paths)
    assert found and found.step == "planned"


async def test_a_disk_too_full_for_the_reason_ends_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await node_of(tmp_path, Restore("1", "/s", 1.0))

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state, "write_restore", fails)
    with pytest.raises(StartAgain):
        await before(full)(node)
    assert state.read_restore(node.config.paths) is None


async def test_what_fails_behind_that_is_not_given_up(tmp_path: Path) -> None:
    for step in ("stopping", "changing"):
        node = await node_of(tmp_path, Restore("1", "/s", 1.0, step=step))
        with pytest.raises(HostError):
            await before(no_room)(node)
        found = state.read_restore(node.config.paths)
        assert found and found.step == step


def test_the_leader_follows_nobody_until_the_cluster_is_whole(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), join=JoinSettings("https://192.0.2.9:9345", "secret"))
    for step, joins in (("planned", False), ("restored", False), ("done", True), ("failed", True)):
        state.write_restore(config.paths, Restore("1", "/s", 1.0, step=step))  # type: ignore[arg-type]
        assert (configured(config).join is not None) == joins, step


def test_a_server_that_was_told_joins_the_leader_whatever_its_configuration_says(tmp_path: Path) -> None:
    for join in (None, JoinSettings("https://192.0.2.9:9345", "secret")):
        config = server_config(paths_under(tmp_path), join=join)
        state.write_rejoin(config.paths, Rejoin("1", "https://192.0.2.1:9345"))
        found = configured(config)
        assert found.join and found.join.server_url == "https://192.0.2.1:9345"
        assert found.join.token == ("secret" if join else "")
