"""The manifests directory of a server, as its operator uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.namespace import Namespace
from tests.cluster.objects import Object

Addon = Any


class Manifests:
    """``server/manifests`` on `node`, and what the server tells about its files."""

    def __init__(self, node: LabNode) -> None:
        self.system = Namespace(node, "kube-system")
        self._host = node.host
        self._written: set[str] = set()

    def put(self, name: str, *content: Object | str) -> None:
        """Write a file of these documents."""
        self._written.add(name)
        text = "\n---\n".join(part if isinstance(part, str) else json.dumps(part) for part in content)
        self._host.write_file(Paths().manifests / name, text)

    def path(self, name: str) -> Path:
        """Where the file is on the machine."""
        return self._host.path(Paths().manifests / name)

    def remove(self, name: str) -> None:
        """Delete the file."""
        self.path(name).unlink(missing_ok=True)
        self._written.discard(name)

    def remove_all(self) -> None:
        """Delete every file that was written."""
        for name in tuple(self._written):
            self.remove(name)

    def addon(self, name: str) -> Addon:
        """The Addon of a file; None if there is none."""
        return self.system.find("addon", name)

    def event(self, kind: str, name: str, reason: str, seconds: float = 60, *, containing: str = "") -> str:
        """The message of the event, when there is one that has these words."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"

        def told(events: list[Object]) -> list[str]:
            return [e["message"] for e in events if e["reason"] == reason and containing in e["message"]]

        def events() -> list[Object]:
            return self.system.list("events", "--field-selector", selector)

        return told(eventually(events, f"{kind} {name} has the event {reason}", seconds, ok=told))[-1]
