"""A Kubernetes API in memory, as far as the supervisor asks it: create, get, update, delete, list and watch."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rke2.config.model import NodeConfig
from rke2.errors import KubeError
from rke2.kube.client import Page
from rke2.kube.objects import Key, Object, key_of, labels_of
from rke2.kube.resources import Resource
from rke2.supervisor.core import Core


class Kube:
    """In place of `rke2.kube.client.Client`. A watch ends with "too old" (410) at the next change: list again.

    `refuse` raises for requests that are to fail; it is called with verb, resource and name.
    """

    def __init__(self) -> None:
        self._objects: dict[tuple[str, Key], Object] = {}
        self._versions = itertools.count(1)
        self._changed = asyncio.Event()
        self.refuse: Callable[[str, Resource, str], None] = lambda *_: None
        self.patched: list[str] = []
        self.config = Path("/nonexistent")
        self.silent: set[str] = set()
        self._url = ""
        self.reviews: Callable[[Resource, Object], Object] | None = None
        """Answers what is created to be answered, and not to be kept: reviews of tokens and rights."""

    def named(self, component: str) -> Kube:
        return self

    def at(self, url: str) -> Kube:
        """The API server at `url`; those in `silent` do not answer."""
        view = copy.copy(self)
        view._url = url
        return view

    async def raw(self, path: str) -> str:
        """The metrics of an API server that goes by what is in the file `config`."""
        if self._url in self.silent:
            raise KubeError("no route to host", reason="Unreachable")
        digest = hashlib.sha256(self.config.read_bytes()).hexdigest()
        name = "apiserver_encryption_config_controller_last_config_info"
        return (
            f'# TYPE {name} gauge\n{name}{{apiserver_id_hash="sha256:{"0" * 64}",hash="sha256:{digest}"}} 1\n'
        )

    async def patch(
        self, resource: Resource, name: str, patch: Object, *, namespace: str = "", **_: Any
    ) -> Object:
        self.refuse("patch", resource, name)
        live = await self.get(resource, name, namespace)
        live["metadata"].setdefault("annotations", {}).update(
            patch.get("metadata", {}).get("annotations", {})
        )
        if resource.plural == "secrets":
            self.patched.append(name)
        return self.put(resource, live)

    def put(self, resource: Resource, obj: Object) -> Object:
        """Store `obj`, whatever is there."""
        version = str(next(self._versions))
        stored = copy.deepcopy(obj)
        stored["metadata"] = {"uid": f"uid-{version}", **stored["metadata"], "resourceVersion": version}
        self._objects[resource.plural, key_of(obj)] = stored
        self._tell()
        return copy.deepcopy(stored)

    async def find(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        self.refuse("get", resource, name)
        return copy.deepcopy(self._objects.get((resource.plural, Key(namespace, name))))

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        found = await self.find(resource, name, namespace)
        if found is None:
            raise KubeError(f"no {name}", status=404, reason="NotFound")
        return found

    async def create(self, resource: Resource, obj: Object) -> Object:
        key_of(obj)  # the client needs it of everything
        if obj.get("kind", "").endswith("Review"):
            assert self.reviews, "no reviews are expected"
            return self.reviews(resource, obj)
        self.refuse("create", resource, key_of(obj).name)
        if (resource.plural, key_of(obj)) in self._objects:
            raise KubeError("it is there", status=409, reason="AlreadyExists")
        return self.put(resource, obj)

    async def update(self, resource: Resource, obj: Object) -> Object:
        self.refuse("update", resource, key_of(obj).name)
        live = await self.get(resource, key_of(obj).name, key_of(obj).namespace)
        if obj["metadata"].get("resourceVersion") not in (None, live["metadata"]["resourceVersion"]):
            raise KubeError("it has changed", status=409, reason="Conflict")
        return self.put(resource, obj)

    async def delete(self, resource: Resource, name: str, namespace: str = "", **_: Any) -> bool:
        found = self._objects.pop((resource.plural, Key(namespace, name)), None)
        self._tell()
        return found is not None

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        **_: Any,
    ) -> Page:
        label, _sep, value = label_selector.partition("=")
        items = [
            copy.deepcopy(obj)
            for (plural, key), obj in self._objects.items()
            if plural == resource.plural
            and namespace in ("", key.namespace)
            and (not label or labels_of(obj).get(label) == value)
            and _has_field(obj, field_selector)
        ]
        return Page(items, str(next(self._versions)))

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def connect(self, *_: Any, **__: Any) -> _Watch:
        return _Watch(self._changed)


class _Watch:
    def __init__(self, changed: asyncio.Event) -> None:
        self._changed = changed

    async def __aenter__(self) -> None:
        await self._changed.wait()
        raise KubeError("too old", status=410)

    async def __aexit__(self, *_: object) -> None: ...


def _has_field(obj: Object, selector: str) -> bool:
    path, _, wanted = selector.partition("=")
    found: Any = obj
    for part in filter(None, path.split(".")):
        found = found.get(part, "")
    return not selector or found == wanted


def core_over(kube: Kube, config: NodeConfig) -> Core:
    return Core(kube, config)  # type: ignore[arg-type]
