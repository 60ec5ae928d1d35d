"""The disk of an etcd becomes full: the others go on, its process stays, and it is back when there is space again."""

from __future__ import annotations

import pytest

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.members import Members

pytestmark = pytest.mark.long

DATABASE = Paths().server / "db"
MEBIBYTES = 300
LARGE = 90
"""Objects that are made while the disk is full."""
FILLER = DATABASE / "filler"


def test_a_full_disk(whole: Members) -> None:
    fourth = whole.place("server-3", "server")
    host = fourth.node.host
    host.small_disk(DATABASE, MEBIBYTES)
    whole.boot(fourth)
    eventually(whole.voters, "four members vote", 120, ok=lambda names: "server-3" in names)
    host.exec(["sh", "-c", f"cat /dev/zero > {FILLER}"])
    # What etcd has allocated in advance lasts for a while: large objects use it up.
    for number in range(LARGE):
        whole.kubectl(
            "create", "configmap", f"large-{number}", f"--from-literal=key={'x' * 900_000}"[:120_000]
        )
    assert whole.kubectl("get", "node", "agent-0"), "the others go on"
    assert fourth.running
    host.exec(["rm", str(FILLER)], check=True)
    whole.until_node_ready("server-3", 120)
    whole.until_ready(fourth)
    whole.kubectl(
        "delete", "configmap", *(f"large-{number}" for number in range(LARGE)), "--ignore-not-found"
    )
    whole.kubectl("delete", "node", "server-3")
    eventually(lambda: len(whole.etcd_members()), "its member is gone", 120, ok=(3).__eq__)
    whole.remove("server-3")
