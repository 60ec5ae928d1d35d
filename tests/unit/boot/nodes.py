"""A node of a configuration, for phases that are run by themselves."""

from __future__ import annotations

from rke2.boot.node import Node
from rke2.boot.process import Boot
from rke2.config.model import NodeConfig
from rke2.host.facts import detect
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.progress import PhaseStatus, Progress
from rke2.lifecycle.services import Services


def assembled(config: NodeConfig, *phases: str) -> Node:
    """What these phases of a boot would work with; must be called where an event loop runs."""
    progress = Progress(config.paths.status, "server", "v1")
    progress.plan([PhaseStatus(name) for name in phases])
    return Node.assemble(Boot(config, detect(), progress, Services(), Liveness(print, lambda: None)))
