from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from tests.cluster.agents.clocks import faked, set_clock
from tests.cluster.eventually import eventually
from tests.cluster.members import Members
from tests.cluster.restart.server import Server

JOIN_SECONDS = 90.0
"""Far above what it takes to be taken in or refused: a second or two."""

_numbers = itertools.count()


class Candidate:
    """An agent that tries to join `pair`; it is ended once the server has decided."""

    def __init__(self, agent: Server) -> None:
        self.agent = agent

    @property
    def name(self) -> str:
        return self.agent.node.host.name

    def attempt(self, clock: str = "") -> None:
        """Start it, with its clock wrong by `clock` (``-1d``)."""
        if clock:
            set_clock(self.agent.node, clock)
        self.agent.start(faked(self.agent.node) if clock else None)

    def is_taken_in(self) -> None:
        """Fail unless it becomes a member: it is given certificates of its own."""
        eventually(lambda: self.agent.phase("cluster").state, "it joined", JOIN_SECONDS, ok="done".__eq__)
        assert self._certificate.exists()

    def is_refused(self, *fragments: str) -> None:
        """Fail unless it says all of `fragments`, as what it waits for or as why it ended, and got no certificate."""
        eventually(
            self._words,
            f"it says {fragments}",
            JOIN_SECONDS,
            ok=lambda said: all(part in said for part in fragments),
        )
        assert not self._certificate.exists()
        assert "Traceback" not in self.agent.node.log.read_text()

    def _words(self) -> str:
        status = self.agent.status()
        return f"{self.agent.phase('cluster').detail} {status.error} {status.remedy}"

    @property
    def _certificate(self) -> Path:
        return self.agent.node.host.path(Paths().agent / "client-kubelet.crt")

    def end(self) -> None:
        if self.agent.running:
            self.agent.terminate()
            self.agent.until_childless()


@pytest.fixture
def candidate(pair: Members) -> Iterator[Callable[..., Candidate]]:
    """Makes agents on new hosts that are started; arguments are their settings.

    The host's name may be given, and by how much its clock is wrong.
    """
    made: list[Candidate] = []

    def make(name: str = "", clock: str = "", **settings: str) -> Candidate:
        agent = pair.place(name or f"new-{next(_numbers)}", "agent", **settings)
        made.append(Candidate(agent))
        made[-1].attempt(clock)
        return made[-1]

    yield make
    for one in made:
        one.end()
        pair.remove(one.name)
        pair.kubectl("delete", "node", one.name, "--ignore-not-found", "--wait=false")
