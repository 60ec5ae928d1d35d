"""A server that is killed at any step of its join joins when it is started again, once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster.eventually import eventually
from tests.cluster.members import BOOT_SECONDS, Members
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long


@pytest.fixture
def fourth(whole: Members) -> Iterator[Server]:
    """A fourth server, never started; its Node is deleted at the end, which removes its member from etcd."""
    yield whole.place("server-3", "server")
    whole.kubectl("delete", "node", "server-3", "--ignore-not-found")
    eventually(lambda: len(whole.etcd_members()), "its member is gone", 120, ok=(3).__eq__)
    whole.remove("server-3")


def test_killed_at_every_phase(whole: Members, fourth: Server) -> None:
    fourth.start()
    phases = [phase.name for phase in fourth.status().phases]
    for name in phases:
        if not fourth.running:
            fourth.start()
        begun = partial(fourth.phase, name)
        eventually(begun, name, BOOT_SECONDS, ok=lambda phase: phase.state in ("running", "done"), poll=0.02)
        fourth.kill()
        fourth.until_childless()
        assert len(whole.etcd_members()) <= 4
    fourth.start()
    whole.until_ready(fourth)
    eventually(whole.voters, "four members vote", 120, ok=lambda names: "server-3" in names)
    assert len(whole.etcd_members()) == 4


def test_switched_off_while_it_is_a_learner(whole: Members, fourth: Server) -> None:
    fourth.start()
    eventually(lambda: len(whole.etcd_members()), "it is a member", BOOT_SECONDS, ok=(4).__eq__, poll=0.05)
    fourth.node.host.stop()
    assert whole.kubectl("get", "nodes"), "three of four still decide"
    fourth.node.host.start()
    fourth.start()
    whole.until_ready(fourth)
    eventually(whole.voters, "four members vote", 120, ok=lambda names: "server-3" in names)
    assert len(whole.etcd_members()) == 4
