"""Runs inside a test host and notes when nodes of its cluster register and get Ready, and etcd members a vote.

Usage: python -m tests.bench.watch KUBECONFIG NODES VOTERS, lists with commas, the second may be empty. Prints one JSON
object: milestone to Unix time.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from rke2_lab.host import LabHost
from tests.bench.prober import POLL, Api

MEMBERS = "https://127.0.0.1:9345/db/info"
LIMIT = 600.0
Times = dict[str, float]


class Watch:
    """The program, started in `host`."""

    def __init__(
        self, host: LabHost, kubeconfig: str, nodes: list[str], voters: list[str] | None = None
    ) -> None:
        lists = [",".join(nodes), ",".join(voters or [])]
        command = [host.python, "-m", "tests.bench.watch", kubeconfig, *lists]
        root = str(Path(__file__).parents[2])
        self._process = host.popen(command, env={"PYTHONPATH": root}, stdout=subprocess.PIPE, text=True)

    def times(self) -> Times:
        """When each milestone was reached; waits for the last one."""
        try:
            output, _ = self._process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        found: Times = json.loads(output)
        return found


def main(kubeconfig: str, nodes: str, voters: str) -> None:
    file = Path(kubeconfig)
    while not file.exists() or not file.stat().st_size:
        time.sleep(POLL)
    api, times = Api(file), Times()
    names, members = nodes.split(","), list(filter(None, voters.split(",")))
    wanted = {f"{name} Ready" for name in names} | {f"{name} votes" for name in members}
    while not wanted <= times.keys():
        reached = {*_reached(api, names), *(_votes() if members else ())}
        times |= dict.fromkeys(reached - times.keys(), time.time())
        time.sleep(POLL)
    print(json.dumps(times))


def _reached(api: Api, names: list[str]) -> list[str]:
    status, answer = api.request("GET", "/api/v1/nodes")
    nodes = {node["metadata"]["name"]: node for node in answer["items"]} if status == 200 else {}
    here = [name for name in names if name in nodes]
    return [f"{name} registered" for name in here] + [f"{name} Ready" for name in here if _ready(nodes[name])]


def _ready(node: Any) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _votes() -> list[str]:
    """Of the nodes whose etcd member may vote, as the supervisor of this server tells."""
    try:
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(MEMBERS, context=context, timeout=2) as answer:
            members = json.load(answer)["members"]
    except OSError:
        return []
    return [f"{member['name'].rpartition('-')[0]} votes" for member in members if not member.get("isLearner")]


if __name__ == "__main__":
    main(*sys.argv[1:])
