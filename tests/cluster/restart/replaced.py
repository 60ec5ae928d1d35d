"""Which containers of a cluster were replaced between two looks, and what has changed in that they are made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.cluster.members import Members
from tests.cluster.restart.containers import Container, running_containers

_CONTROLLERS = "daemonsets,deployments,statefulsets"
_JOBS = "helm-"
"""Beginning of the names of pods that end when their work is done."""


@dataclass
class Made:
    """Everything that is made from one manifest: a static pod of a node, or the pods of a controller.

    Attributes:
        manifest: the file, or the controller's template, without what makes no difference to a container.
        containers: that run.
        ends: how earlier ones of the same pods have ended, as Kubernetes tells it.
    """

    manifest: Any
    containers: set[Container] = field(default_factory=set)
    ends: set[str] = field(default_factory=set)


Look = Mapping[str, Made]
"""By what it is called: ``etcd of server-0``, ``kube-system/daemonset/rke2-canal``."""


@dataclass(frozen=True)
class Replaced:
    """What does not run any more.

    Attributes:
        name: as of `Look`.
        changes: what is another in its manifest, a line each; none explains nothing.
        ends: what Kubernetes says of the end of containers of the same pods.
    """

    name: str
    gone: frozenset[str]
    changes: tuple[str, ...]
    ends: tuple[str, ...] = ()

    def __str__(self) -> str:
        why = self.changes or ("its manifest is the same", *self.ends)
        return f"{self.name} ({', '.join(sorted(self.gone))}):" + "".join(f"\n      {line}" for line in why)


def look(members: Members) -> Look:
    """What runs on all nodes, by what it is made from."""
    seen = {name: Made(template) for name, template in _templates(members)}
    pods = {item["metadata"]["name"]: item for item in _items(members, "pods")}
    for node in members.nodes:
        static = dict(_static_pods(node))
        for container in running_containers(node):
            pod = pods.get(container.pod)
            if container.pod.startswith(_JOBS):
                continue
            if container.pod in static:
                name = f"{container.pod.removesuffix(f'-{node.host.name}')} of {node.host.name}"
            else:
                name = _owner(pod) if pod else "pods that are gone from the API"
            made = seen.setdefault(name, Made(static.get(container.pod)))
            made.containers.add(container)
            made.ends.update(_ends(pod) if pod else ())
    return seen


def replaced(before: Look, after: Look) -> list[Replaced]:
    """What of `before` does not run any more."""
    result = []
    for name, made in before.items():
        then = after.get(name, Made(None))
        if gone := frozenset(f"{each.pod}/{each.name}" for each in made.containers - then.containers):
            changes = tuple(sorted(_changes(made.manifest, then.manifest)))
            result.append(Replaced(name, gone, changes, tuple(sorted(then.ends - made.ends))))
    return result


def ended(before: Look, after: Look) -> list[str]:
    """Containers that were begun since `before` and have ended since then."""
    new = {name: made.containers - before.get(name, Made(None)).containers for name, made in after.items()}
    return [f"{each.pod}/{each.name}" for containers in new.values() for each in containers if each.attempt]


def _static_pods(node: LabNode) -> Iterator[tuple[str, Any]]:
    for file in node.host.path(Paths().pod_manifests).glob("*.yaml"):
        manifest = yaml.safe_load(file.read_text())
        del manifest["metadata"]["uid"]
        yield f"{manifest['metadata']['name']}-{node.host.name}", manifest


def _items(members: Members, kinds: str) -> list[Any]:
    return list(json.loads(members.kubectl("get", kinds, "--all-namespaces", "--output", "json"))["items"])


def _templates(members: Members) -> Iterator[tuple[str, Any]]:
    for item in _items(members, _CONTROLLERS):
        meta = item["metadata"]
        yield f"{meta['namespace']}/{item['kind'].lower()}/{meta['name']}", item["spec"]["template"]


def _owner(pod: Any) -> str:
    meta = pod["metadata"]
    owner = meta.get("ownerReferences", [{"kind": "", "name": ""}])[0]
    kind, name = owner["kind"].lower(), owner["name"]
    if kind == "replicaset":
        kind, name = "deployment", name.removesuffix(f"-{meta['labels']['pod-template-hash']}")
    return f"{meta['namespace']}/{kind}/{name}"


def _ends(pod: Any) -> Iterator[str]:
    for status in pod["status"].get("containerStatuses", ()):
        if last := status.get("lastState", {}).get("terminated"):
            words = last.get("message", "").strip().splitlines()[-1:]
            yield f"{last['finishedAt']} {last['reason']}, exit code {last['exitCode']}: {''.join(words)}"


def _changes(before: Any, after: Any) -> Iterator[str]:
    here, there = dict(_leaves(before)), dict(_leaves(after))
    for path in here.keys() | there.keys():
        if here.get(path) != there.get(path):
            yield f"{path}: {here.get(path, 'nothing')} -> {there.get(path, 'nothing')}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar by its path; entries of lists by their names, arguments by themselves."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{path}/{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            named = isinstance(each, dict) and each.get("name")
            yield from _leaves(each, f"{path}/{named or (each if isinstance(each, str) else number)}")
    else:
        yield path, value
