"""A machine whose clock is wrong is told by how much, and joins once it is set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.cluster.agents.clocks import set_clock
from tests.cluster.agents.joining.conftest import JOIN_SECONDS, Candidate
from tests.cluster.eventually import eventually
from tests.cluster.members import AGENT_TOKEN


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        ("-1d", "certificate is not yet valid; this machine's clock is 1d0h behind the server's"),
        ("+4000d", "certificate has expired; this machine's clock is 4000d0h ahead of the server's"),
    ],
)
def test_a_clock_that_is_wrong_is_told_until_it_is_set(
    candidate: Callable[..., Candidate], clock: str, words: str
) -> None:
    node = candidate(token=AGENT_TOKEN, clock=clock).agent.node
    certificate = node.host.path(Paths().agent / "client-kubelet.crt")
    eventually(lambda: _says(node, words), "status and log say it", JOIN_SECONDS)
    assert not certificate.exists()
    set_clock(node, "+0")
    eventually(certificate.exists, "it joins", JOIN_SECONDS)


def _says(node: LabNode, words: str) -> bool:
    return words in node.rke2("status").stdout and words in node.log.read_text()
