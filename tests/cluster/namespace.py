"""A namespace of a cluster, used as people use it: with kubectl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually

Object = Mapping[str, Any]


class Namespace:
    """Runs kubectl on `node` as the cluster's administrator, in the namespace `name`."""

    def __init__(self, node: LabNode, name: str) -> None:
        self.node, self.name = node, name

    @classmethod
    def create(cls, node: LabNode, name: str) -> Namespace:
        """Make it, with the service account its pods need."""
        made = cls(node, name)
        made.kubectl("create", "namespace", name)
        made.until_exists("serviceaccount", "default")
        return made

    def delete(self) -> None:
        """Begin to remove it with all it holds."""
        self.attempt("delete", "namespace", self.name, "--wait=false")

    # --- kubectl -----------------------------------------------------------------------------------
    def command(self, *arguments: str) -> list[str]:
        """The command line, to be run on the host."""
        return ["kubectl", "--namespace", self.name, *arguments]

    def attempt(
        self, *arguments: str, input: str | None = None, timeout: float = 90
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever becomes of it."""
        return self.node.host.exec(self.command(*arguments), input=input, timeout=timeout)

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 90) -> str:
        """What kubectl prints; it must succeed."""
        done = self.attempt(*arguments, input=input, timeout=timeout)
        text = f"kubectl {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"{text}\n{self.seen()}"
        return done.stdout

    def seen(self) -> str:
        """The pods of the namespace and its last events, for the message of a failure."""
        pods = self.attempt("get", "pods", "--output", "wide").stdout
        events = self.attempt("get", "events", "--sort-by", ".lastTimestamp").stdout.splitlines()
        return "\n".join([pods, *events[-15:]])

    # --- objects -----------------------------------------------------------------------------------
    def apply(self, *objects: Object) -> None:
        """``kubectl apply``."""
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("apply", "--filename", "-", input=content)

    def remove(self, kind: str, name: str) -> None:
        """``kubectl delete``; returns when it is gone."""
        self.kubectl("delete", kind, name)

    def find(self, kind: str, name: str) -> Any:
        """The object, None if there is none."""
        text = self.kubectl("get", kind, name, "--ignore-not-found", "--output", "json")
        return json.loads(text) if text else None

    def list(self, kind: str, *selection: str) -> list[Any]:
        """The objects of a kind.

        Args:
            selection: further arguments such as ``--selector app=web``.
        """
        items: list[Any] = json.loads(self.kubectl("get", kind, *selection, "--output", "json"))["items"]
        return items

    def until_exists(self, kind: str, name: str, seconds: float = 60) -> Any:
        """The object, as soon as there is one."""
        return eventually(lambda: self.find(kind, name), f"{kind} {self.name}/{name} exists", seconds)

    def until_gone(self, kind: str, name: str, seconds: float = 60) -> None:
        """Wait until the object is gone."""
        eventually(
            lambda: self.find(kind, name),
            f"{kind} {self.name}/{name} is gone",
            seconds,
            ok=lambda found: found is None,
        )

    def until(self, condition: str, *objects: str, seconds: int = 90) -> None:
        """``kubectl wait --for CONDITION``, such as ``condition=Ready`` of ``pod/web``."""
        self.kubectl("wait", f"--for={condition}", f"--timeout={seconds}s", *objects, timeout=seconds + 30)

    # --- processes in pods -------------------------------------------------------------------------
    def exec(self, pod: str, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in the first container of `pod`."""
        return self.attempt("exec", pod, "--", *command, timeout=timeout)
