"""A running server's part: the word before the deed, nothing twice, and what it refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from rke2.errors import ComponentError
from rke2.etcd.client import EtcdClient
from rke2.recovery import state
from rke2.recovery.recovery import Recovery, RecoveryRefusedError
from rke2.recovery.state import MemberIdentity, Rejoin, Restore
from tests.configs import paths_under, server_config

REJOIN = Rejoin("1", "https://192.0.2.1:9345", "c0")


class Stops:
    """Ends the control plane; looks what was written down by then."""

    def __init__(self, root: Path) -> None:
        self.config = server_config(paths_under(root))
        self.word: list[Rejoin | None] = []
        self.failure: Exception | None = None

    async def __call__(self) -> None:
        self.word.append(state.read_rejoin(self.config.paths))
        if self.failure:
            raise self.failure


@pytest.fixture
def stops(tmp_path: Path) -> Stops:
    return Stops(tmp_path)


def recovery_of(stops: Stops) -> Recovery:
    return Recovery(stops.config, cast("EtcdClient", None), stops)


async def test_the_word_is_kept_before_anything_stops(stops: Stops) -> None:
    recovery = recovery_of(stops)
    await recovery.leave(REJOIN)
    assert stops.word == [REJOIN]
    assert "192.0.2.1" in await recovery.wanted


async def test_pods_that_do_not_end_are_an_error_and_asked_for_again(stops: Stops) -> None:
    recovery = recovery_of(stops)
    stops.failure = ComponentError("the sandbox of etcd is busy")
    with pytest.raises(ComponentError):
        await recovery.leave(REJOIN)
    assert not recovery.wanted.done() and state.read_rejoin(stops.config.paths) == REJOIN
    stops.failure = None
    await recovery.leave(REJOIN)
    assert recovery.wanted.done()


async def test_a_member_of_another_cluster_does_not_stop(stops: Stops) -> None:
    state.write_identity(stops.config.paths, MemberIdentity("other", "m"))
    recovery = recovery_of(stops)
    with pytest.raises(RecoveryRefusedError, match="member of etcd cluster other, not of c0"):
        await recovery.leave(REJOIN)
    assert stops.word == [] and state.read_rejoin(stops.config.paths) is None


async def test_one_restore_at_a_time(stops: Stops) -> None:
    recovery = recovery_of(stops)
    first, second = Restore("1", "/a", 0.0), Restore("2", "/b", 0.0)
    results = await asyncio.gather(recovery.begin(first), recovery.begin(second), return_exceptions=True)
    assert results[0] is None and isinstance(results[1], RecoveryRefusedError)
    assert state.read_restore(stops.config.paths) == first
    with pytest.raises(RecoveryRefusedError, match="leads a restore itself"):
        await recovery.leave(REJOIN)
    state.write_restore(stops.config.paths, Restore("1", "/a", 0.0, step="done"))
    await recovery.begin(second)


async def test_who_has_to_join_a_restored_cluster_leads_none(stops: Stops) -> None:
    state.write_rejoin(stops.config.paths, REJOIN)
    with pytest.raises(RecoveryRefusedError, match="has to join the restored cluster"):
        await recovery_of(stops).begin(Restore("2", "/b", 0.0))
