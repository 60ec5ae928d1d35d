"""A server that comes back to a restored cluster which is slow to answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.boot import restored
from rke2.boot.process import StartAgain
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import JoinError
from rke2.etcd import member_files
from rke2.etcd.messages import Member
from rke2.recovery import peers, state, watch
from rke2.recovery.state import MemberIdentity
from rke2.recovery.wire import Answer, Restored
from tests.configs import paths_under, server_config
from tests.unit.boot.nodes import assembled

OWN = MemberIdentity("c1", "a1")
RESTORED = Answer("n2", "c2", "b1", 7, ("b1", "b2"), (Restored("r", "c1"),))
GROWN = Answer("n2", "c1", "b1", 7, ("b1", "b2"))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeConfig:
    """Of a server with data, whose member the others have no more."""
    found = server_config(paths_under(tmp_path))
    (found.paths.etcd / "member/wal").mkdir(parents=True)
    state.write_identity(found.paths, OWN)
    member_files.remember_members(
        found.paths, [Member(2, "n2-1a2b3c4d", ("https://192.0.2.2:2380",), ("https://192.0.2.2:2379",))]
    )
    monkeypatch.setattr(watch, "RETRY", 0.0)
    return found


def answering(monkeypatch: pytest.MonkeyPatch, *answers: Answer | None) -> list[str]:
    """The other server says this, one after the other, the last for good; None is silence."""
    left, asked = list(answers), list[str]()

    async def ask(paths: Paths, url: str) -> Answer:
        asked.append(url)
        found = left.pop(0) if len(left) > 1 else left[0]
        if found is None:
            raise JoinError("no answer")
        return found

    monkeypatch.setattr(peers, "ask", ask)
    return asked


async def test_who_was_removed_by_a_restore_joins_again_however_late_that_is_said(
    config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_files.write_tombstone(config.paths)
    asked = answering(monkeypatch, None, Answer("n2"), None, RESTORED)
    with pytest.raises(StartAgain, match=r"joining it again at https://192\.0\.2\.2:9345"):
        await restored.ask_first(assembled(config, "cluster"))
    assert len(asked) == 4
    word = state.read_rejoin(config.paths)
    assert word and (word.id, word.cluster) == ("r", "c1")
    assert not member_files.tombstone_file(config.paths).exists()


async def test_who_was_only_removed_stays_so(config: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    member_files.write_tombstone(config.paths)
    answering(monkeypatch, None, GROWN)
    await restored.ask_first(assembled(config, "cluster"))
    assert member_files.tombstone_file(config.paths).exists() and state.read_rejoin(config.paths) is None


async def test_silence_ends(config: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.05)
    member_files.write_tombstone(config.paths)
    assert answering(monkeypatch, None) == []
    await restored.ask_first(assembled(config, "cluster"))
    assert state.read_rejoin(config.paths) is None


async def test_who_was_not_removed_asks_once(config: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, None, RESTORED)
    await restored.ask_first(assembled(config, "cluster"))
    assert len(asked) == 1
