"""Between the release lines of Kubernetes 1.36 and 1.37: a snapshot goes up, and none comes down."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.snapshots.record import record_file
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.backup.test_2_restore import mark, marks, old_data, restore, save
from tests.cluster.labs import CONTENT
from tests.cluster.nodes import make_lean, place_server
from tests.cluster.restart.server import Server

pytestmark = pytest.mark.long

LATER = Path(__file__).parents[3] / "build/v1.37/dist"


def place_later(lab: Lab) -> LabNode:
    """A host with the content of 1.37."""
    node = LabNode(lab.add_host("later"))
    node.configure()
    node.place_content(LATER)
    make_lean(node)
    return node


def carry(snapshot: Path, source: LabNode, target: LabNode) -> Path:
    """Copy a snapshot with its record to another host; where it is there."""
    for path in (snapshot, record_file(snapshot)):
        there = Path("/srv") / path.relative_to(Paths().etcd.parent)
        target.host.path(there).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source.host.path(path), target.host.path(there))
    return Path("/srv") / snapshot.relative_to(Paths().etcd.parent)


def kubelets(node: LabNode) -> dict[str, str]:
    listed = json.loads(node.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    return {each["metadata"]["name"]: each["status"]["nodeInfo"]["kubeletVersion"] for each in listed}


def test_a_snapshot_goes_to_the_later_minor_and_not_back(lab: Lab) -> None:
    if not LATER.is_dir() or LATER.resolve() == CONTENT:
        pytest.skip(f"{LATER} is not built, or is what is tested: `make content RELEASE=v1.37`")
    earlier, later = Server(place_server(lab, "earlier")), Server(place_later(lab))
    earlier.start()
    earlier.until_ready()
    mark(earlier.node, "of-the-earlier")
    token = earlier.node.host.path(Paths().token).read_text().strip()
    taken = save(earlier.node, "up")
    assert earlier.terminate() == 0
    done = restore(later.node, carry(taken, earlier.node, later.node), f"--token={token}")
    assert done.returncode == 0, done.stderr
    later.start()
    later.until_ready()
    assert "of-the-earlier" in marks(later.node)
    assert kubelets(later.node)["later"].startswith("v1.37.")
    # And back: refused before anything is made, by its record and by the file alone.
    back = carry(save(later.node, "down"), later.node, earlier.node)
    for _ in range(2):
        refused = restore(earlier.node, back)
        assert refused.returncode == 1, refused.stderr
        assert refused.stderr.count("it is of etcd 3.7.0, and this release of rke2 has etcd 3.6.") == 1
        assert old_data(earlier.node) == []
        earlier.node.host.path(record_file(back)).unlink(missing_ok=True)
    assert later.terminate() == 0
    earlier.start()
    earlier.until_ready()
    assert "of-the-earlier" in marks(earlier.node)
