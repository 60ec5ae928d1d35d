from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rke2.status.outdated import outdated

NODES = [
    {"metadata": {"name": "here"}, "status": {"nodeInfo": {"bootID": "now"}}},
    {"metadata": {"name": "there"}, "status": {"nodeInfo": {"bootID": "another"}}},
]


def pod(node: str, state: str, container: str = "abc") -> dict[str, Any]:
    statuses = [{"containerID": f"containerd://{container}", "state": {state: {}}}]
    return {
        "metadata": {"name": "p"},
        "spec": {"nodeName": node} if node else {},
        "status": {"containerStatuses": statuses},
    }


@pytest.mark.parametrize(
    ("node", "state", "container", "expected"),
    [
        ("here", "running", "abc", []),
        ("here", "running", "gone", ["pod p: its container has ended, which is not reported yet"]),
        ("here", "terminated", "gone", []),
        ("there", "running", "gone", []),
        ("", "running", "gone", []),
    ],
)
def test_pods_of_this_node_run_as_told(
    tmp_path: Path, node: str, state: str, container: str, expected: list[str]
) -> None:
    (tmp_path / "abc").mkdir()
    assert list(map(str, outdated(NODES, [pod(node, state, container)], "now", tmp_path))) == expected


def test_a_node_that_did_not_report_since_the_reboot_is_not_this_one(tmp_path: Path) -> None:
    assert outdated(NODES, [pod("here", "running", "gone")], "later", tmp_path) == []
