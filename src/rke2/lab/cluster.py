"""The cluster of a lab: which hosts are its nodes, in which role, and whom each of them joins.

The first server starts the cluster, everyone else joins a server that was there before. All know the lab's token from
the beginning, so all can start at once: who joins waits until that server answers.
"""

from __future__ import annotations

from rke2.lab.host import Host
from rke2.lab.lab import Lab
from rke2.lab.node import Node, Role

SUPERVISOR_PORT = 9345


class Cluster:
    """The nodes of `lab`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def nodes(self, role: Role | None = None) -> list[Node]:
        """The nodes, or those of a role, in the order their hosts were added."""
        every = [Node(host) for host in self._lab.hosts()]
        return [node for node in every if node.role and role in (None, node.role)]

    def enrol(self, host: Host, role: Role) -> Node:
        """Make `host` a node; one that is a node already stays what it is."""
        node = Node(host)
        if node.role is None:
            servers = self.nodes("server")
            node.enrol(role, self._cluster_settings(role, servers[0] if servers else None))
        return node

    def _cluster_settings(self, role: Role, server: Node | None) -> dict[str, str]:
        join = {"server": f"https://{server.host.address}:{SUPERVISOR_PORT}"} if server else {}
        return {**join, "token": self._lab.token}
