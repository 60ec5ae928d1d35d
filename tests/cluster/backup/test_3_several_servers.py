"""Three servers go back to a snapshot: one is restored, the others join it anew, and old data gets nobody in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from tests.cluster.backup.test_2_restore import WORDS, mark, marks, reset, restore, save
from tests.cluster.eventually import eventually
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members

pytestmark = pytest.mark.long

DB = Paths().etcd.parent
NAMES = ("server-0", "server-1", "server-2")


@pytest.fixture(scope="module")
def servers(lab: Lab, workload_archive: Path) -> Iterator[Members]:
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}backup")) as own:
        members = Members(own, workload_archive)
        members.boot(*(members.place(name, "server") for name in NAMES))
        yield members


def switch_off(servers: Members) -> None:
    """All of them: what a stop of rke2 leaves running ends, too."""
    for server in servers:
        server.node.host.stop()


def rejoin(servers: Members, name: str) -> None:
    """Delete the member of a server that is switched off, and start it."""
    node = servers[name].node
    shutil.rmtree(node.host.path(DB))
    if not node.host.running:
        node.host.start()
    servers[name].start()


def until_whole(servers: Members) -> None:
    servers.until_ready()
    for name in NAMES:
        servers.until_node_ready(name)
    eventually(servers.voters, "three members vote", 240, ok=lambda names: names == frozenset(NAMES))


def test_a_snapshot_is_restored_and_the_others_join_anew(servers: Members) -> None:
    first = servers["server-0"]
    mark(first.node, "before")
    snapshot = save(first.node, "ha")
    mark(first.node, "after")
    until_whole(servers)
    switch_off(servers)
    first.node.host.start()
    done = restore(first.node, snapshot)
    assert done.returncode == 0 and WORDS in done.stderr, done.stderr
    first.start()
    eventually(lambda: servers.voters() == {"server-0"}, "the first one votes alone", 240)
    eventually(lambda: "before" in marks(first.node), "the API answers", 240)
    assert "after" not in marks(first.node)

    # One that is started with its old data neither gets in nor brings anything back.
    servers["server-1"].node.host.start()
    servers["server-1"].start()
    eventually(
        lambda: servers["server-1"].phase("etcd").state, "its etcd phase runs", 240, ok="running".__eq__
    )
    assert servers.voters() == {"server-0"} and "after" not in marks(first.node)
    servers["server-1"].node.host.stop()

    for name in NAMES[1:]:
        rejoin(servers, name)
    until_whole(servers)
    for name in NAMES:
        assert marks(servers[name].node) == {"before"}


def test_the_last_server_goes_on_alone_and_the_others_join_anew(servers: Members) -> None:
    until_whole(servers)
    mark(servers["server-0"].node, "kept")
    switch_off(servers)
    last = servers["server-0"]
    last.node.host.start()
    done = reset(last.node)
    assert done.returncode == 0 and WORDS in done.stderr, done.stderr
    last.start()
    eventually(lambda: servers.voters() == {"server-0"}, "it votes alone", 240)
    for name in NAMES[1:]:
        rejoin(servers, name)
    until_whole(servers)
    listed = json.loads(servers["server-2"].node.kubectl("get", "configmaps", "-o", "json").stdout)["items"]
    assert "kept" in {each["metadata"]["name"] for each in listed}
