"""The cluster of a lab: which hosts are its nodes, in which role, and whom each of them joins.

The first server starts the cluster, everyone else joins a server that was there before. All know the lab's token from
the beginning, so all can start at once: who joins waits until that server answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode, Role

SUPERVISOR_PORT = 9345
CHOSEN = ("cni", "ingress-controller")
"""Settings that one server of a cluster must not have otherwise than another."""


class LabCluster:
    """The nodes of `lab`."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def nodes(self, role: Role | None = None) -> list[LabNode]:
        """The nodes, or those of a role, in the order their hosts were added."""
        every = [LabNode(host) for host in self._lab.hosts()]
        return [node for node in every if node.role and role in (None, node.role)]

    @property
    def choices(self) -> dict[str, str]:
        """Those of `CHOSEN` that the cluster was made with; what is missing was left to rke2 or to ``--config``."""
        servers = self.nodes("server")
        settings = servers[0].enrolled_with() if servers else {}
        return {name: settings[name] for name in CHOSEN if name in settings}

    def enrol(self, host: LabHost, role: Role, choices: Mapping[str, str] = {}) -> LabNode:
        """Make `host` a node; one that is a node already stays what it is.

        Args:
            choices: settings of a server, by the name of their flag (`CHOSEN`).
        """
        node = LabNode(host)
        if node.role is None:
            servers = self.nodes("server")
            join = {"server": f"https://{servers[0].host.address}:{SUPERVISOR_PORT}"} if servers else {}
            chosen = choices if role == "server" else {}
            node.enrol(role, {**join, "token": self._lab.token, **chosen})
        return node
