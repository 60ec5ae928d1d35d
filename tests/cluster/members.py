"""Clusters of several nodes, each in a lab of its own, so that network faults stay in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rke2.config.cni import DEFAULT as DEFAULT_CNI
from rke2.config.paths import Paths
from rke2_lab.cluster import LabCluster
from rke2_lab.follow import until_all_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode, Role
from tests.cluster.eventually import eventually
from tests.cluster.labs import CONTENT
from tests.cluster.nodes import make_lean
from tests.cluster.restart.server import Server

AGENT_TOKEN = "agents-only"

BOOT_SECONDS = 420.0
"""Far above what several nodes take that share two cores and start at once."""

_OWN_DROP_IN = Paths().config_dir / "config.yaml.d/90-test.yaml"

_GET = """
import ssl, sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context(), timeout=5)
sys.stdout.write(answer.read().decode())
"""


class Members:
    """The nodes of a lab, which are one cluster.

    Args:
        lab: where they are; nothing else is in it.
        workload: archive of the tests' own image.
        cni: the CNI plugin; empty leaves the choice to rke2.
    """

    def __init__(self, lab: Lab, workload: Path, cni: str = "") -> None:
        self.lab, self._workload, self._cni = lab, workload, cni
        self._members: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        return self._members[name]

    def __iter__(self) -> Iterator[Server]:
        return iter(self._members.values())

    @property
    def nodes(self) -> list[LabNode]:
        """All of them, running or not."""
        return [member.node for member in self]

    @property
    def servers(self) -> list[Server]:
        return [member for member in self if member.node.role == "server"]

    # --- making them -------------------------------------------------------------------------------
    def place(self, name: str, role: Role, config: str = "", **settings: Any) -> Server:
        """A node with everything it needs to join the others, which is not started.

        Args:
            config: content of its config.yaml.
            settings: what is said over the lab's own settings, ``token`` or ``server`` for example.
        """
        node = LabCluster(self.lab).enrol(
            self.lab.add_host(name), role, {"cni": self._cni} if self._cni else {}
        )
        node.configure()
        node.place_content(CONTENT, self._cni or DEFAULT_CNI.name)
        shutil.copy(self._workload, node.host.path(Paths().images))
        if config:
            node.host.write_file(Paths().config_dir / "config.yaml", config)
        if role == "server":
            make_lean(node)
        self._members[name] = Server(node)
        self.set(name, **settings)
        return self._members[name]

    def set(self, name: str, **settings: Any) -> None:
        """Have a node's configuration say `settings` over everything else."""
        text = yaml.safe_dump({key.replace("_", "-"): value for key, value in settings.items()})
        self._members[name].node.host.write_file(_OWN_DROP_IN, text)

    def boot(self, *members: Server) -> None:
        """Start them at once and wait until all are ready."""
        for member in members:
            member.start()
        self.until_ready(*members)

    def until_ready(self, *members: Server) -> None:
        """Wait until they, or all, are ready by their own word."""
        until_all_ready({member.node: member.process for member in members or self}, BOOT_SECONDS)

    def remove(self, name: str) -> None:
        """End a node and all it had on disk; what the cluster knows of it stays."""
        del self._members[name]
        self.lab.remove_host(name)

    # --- looking at them ---------------------------------------------------------------------------
    def kubectl(self, *arguments: str, by: str = "server-0") -> str:
        """What kubectl prints on a server; empty if it fails."""
        return self[by].node.kubectl("--request-timeout=5s", *arguments, timeout=60).stdout

    def readiness(self, name: str, by: str = "server-0") -> str:
        """What the cluster takes a node for: ``True``, ``False``, ``Unknown``; empty if nobody answers."""
        return self._of_ready(name, "status", by)

    def heartbeat(self, name: str, by: str = "server-0") -> str:
        """When the kubelet last reported its node's readiness: at its start, with each change, every five minutes."""
        return self._of_ready(name, "lastHeartbeatTime", by)

    def _of_ready(self, name: str, field: str, by: str) -> str:
        path = f'{{.status.conditions[?(@.type=="Ready")].{field}}}'
        return self.kubectl("get", "node", name, "--output", f"jsonpath={path}", by=by)

    def ready(self, name: str, by: str = "server-0") -> bool:
        """Whether the cluster takes a node for ready."""
        return self.readiness(name, by) == "True"

    def until_missed(self, name: str, seconds: float, by: str = "server-0") -> None:
        """Wait until the cluster has lost sight of a node."""
        eventually(lambda: self.readiness(name, by), f"{name} is missed", seconds, ok="Unknown".__eq__)

    def until_node_ready(self, name: str, seconds: float = BOOT_SECONDS, by: str = "server-0") -> None:
        """Wait until the cluster takes a node for ready."""
        eventually(lambda: self.ready(name, by), f"node {name} is Ready", seconds)

    def ask_kubelet(self, name: str, by: str = "server-0") -> str:
        """What the kubelet of a node tells a server's API server of its health: ``ok``, or empty without a way."""
        return self.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/healthz", by=by)

    def get(self, name: str, url: str) -> str:
        """What a host gets from `url`; empty if nothing. Certificates are not checked."""
        host = self[name].node.host
        return host.exec([host.python, "-c", _GET, url], timeout=30).stdout

    def etcd_members(self, by: str = "server-0") -> list[Any]:
        """The members of etcd, as the supervisor of a server lists them; empty if it cannot."""
        text = self.get(by, "https://127.0.0.1:9345/db/info")
        return list(json.loads(text)["members"]) if text else []

    def voters(self, by: str = "server-0") -> frozenset[str]:
        """Names of the nodes whose etcd has a vote."""
        members = self.etcd_members(by)
        return frozenset(each["name"].rpartition("-")[0] for each in members if not each.get("isLearner"))

    def etcd_leader(self) -> Server:
        """The server whose etcd leads."""

        def leaders() -> list[Server]:
            return [server for server in self.servers if server.node.host.running and self._leads(server)]

        return eventually(leaders, "etcd has a leader", 60)[0]

    def _leads(self, server: Server) -> bool:
        metrics = self.get(server.node.host.name, "http://127.0.0.1:2381/metrics")
        return "\netcd_server_is_leader 1\n" in metrics
