"""The containers of a node, precise enough to tell whether one was made again or restarted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from rke2.config.paths import Paths
from rke2_lab.node import LabNode


@dataclass(frozen=True)
class Container:
    """One running container. `created` and `started` count nanoseconds or are RFC 3339, as the runtime gives them."""

    pod: str
    name: str
    id: str
    sandbox: str
    attempt: int
    created: str
    pid: int


def running_containers(node: LabNode) -> frozenset[Container]:
    """Every container that runs, with the process that it is; one that ends meanwhile does not run."""
    return frozenset(
        Container(
            pod=item["labels"]["io.kubernetes.pod.name"],
            name=item["metadata"]["name"],
            id=item["id"],
            sandbox=item["podSandboxId"],
            attempt=item["metadata"].get("attempt", 0),
            created=item["createdAt"],
            pid=pid,
        )
        for item in _listed(node)
        if (pid := _pid(node, item["id"])) is not None
    )


def static_pods_settled(node: LabNode) -> bool:
    """Whether the static pods run as their manifests say now and no earlier one runs beside.

    New arguments, for one, make another pod of it; renewed certificates do not.
    """
    manifests = node.host.path(Paths().pod_manifests).glob("*.yaml")
    wanted = [yaml.safe_load(file.read_text())["metadata"] for file in manifests]
    names = {f"{meta['name']}-{node.host.name}" for meta in wanted}
    labels = [item["labels"] for item in _listed(node)]
    running = {each["io.kubernetes.pod.uid"] for each in labels if each["io.kubernetes.pod.name"] in names}
    return running == {meta["uid"] for meta in wanted}


def _listed(node: LabNode) -> list[dict[str, Any]]:
    text = node.host.exec(["crictl", "ps", "-o", "json"], check=True).stdout
    return list(json.loads(text)["containers"])


def _pid(node: LabNode, container: str) -> int | None:
    done = node.host.exec(["crictl", "inspect", "-o", "json", container])
    if done.returncode != 0:
        assert "not found" in done.stderr, done.stderr
        return None
    return int(json.loads(done.stdout)["info"]["pid"])


def restart_counts(node: LabNode) -> dict[str, int]:
    """The restarts of every container of every pod, as the API server knows them."""
    pods = json.loads(node.kubectl("get", "pods", "--all-namespaces", "--output", "json").stdout)["items"]
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}/{container['name']}": container[
            "restartCount"
        ]
        for pod in pods
        for container in pod["status"].get("containerStatuses", [])
    }
