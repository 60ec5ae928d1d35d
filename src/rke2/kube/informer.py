"""A local copy of a collection, kept by list and watch, that tells about changes.

The copy survives disconnection: the watch goes on from the last seen version, and only when the server no
longer has it (410) everything is listed again, and the differences are told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from rke2.errors import KubeError
from rke2.kube.backoff import Backoff
from rke2.kube.client import Client
from rke2.kube.objects import Key, Object, key_of, metadata
from rke2.kube.persistence import Outage
from rke2.kube.resources import Resource
from rke2.kube.watch import watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What became of one object. `new` is None when it is gone, `old` when it was not there before."""

    key: Key
    old: Object | None
    new: Object | None

    @property
    def latest(self) -> Object:
        """The object as last seen."""
        return self.new or self.old or {}


class _Query(TypedDict):
    label_selector: str
    field_selector: str
    metadata_only: bool


class Informer:
    """Lists and watches one collection for as long as `run` runs.

    Args:
        client: asked for the collection.
        namespace: empty for all namespaces.
        metadata_only: keep only metadata (PartialObjectMetadata).
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._query: _Query = {
            "label_selector": label_selector,
            "field_selector": field_selector,
            "metadata_only": metadata_only,
        }
        self._version = ""
        self._objects: dict[Key, Object] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._synced = asyncio.Event()

    @property
    def objects(self) -> Mapping[Key, Object]:
        """The copy; complete once `synced`."""
        return self._objects

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` (which must not block) for every change from now on."""
        self._listeners.append(listener)

    async def synced(self) -> None:
        """Wait until the first list is complete."""
        await self._synced.wait()

    async def run(self) -> None:
        """Keep the copy until cancelled; a failing API is retried with growing delays."""
        outage, backoff = Outage(f"watching {self._resource.plural}"), Backoff(0.05, 5.0)
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._follow(outage, backoff)
            except KubeError as error:
                if error.status:
                    # The server's refusal puts the version in doubt. Silence does not:
                    # the watch goes on from it.
                    self._version = ""
                if error.status != 410:  # which says no more than that a new list is due
                    outage.failed(error)
                await backoff.sleep()
            except Exception:  # an answer nobody has thought of ends no watch: a new list may be without it
                log.exception("watching %s: an answer cannot be understood", self._resource.plural)
                self._version = ""
                await backoff.sleep()

    async def _list(self) -> None:
        page = await self._client.list(self._resource, self._namespace, **self._query)
        # What vanished while nothing watched is told by comparison: its DELETED event will never come.
        listed = {key_of(item): item for item in page.items}
        for key in self._objects.keys() - listed.keys():
            self._store(key, None)
        for key, item in listed.items():
            self._store(key, item)
        self._version = page.resource_version
        # Last: who waits for `synced` may count on the copy, and on every listener having been told.
        self._synced.set()

    async def _follow(self, outage: Outage, backoff: Backoff) -> None:
        """One watch connection, and a pause after one that ended without a word.

        A server that shuts down ends watches the moment they are opened; bookmarks come every minute on all others.
        """
        told = False
        async with watch(
            self._client, self._resource, self._namespace, resource_version=self._version, **self._query
        ) as events:
            outage.over()
            async for kind, item in events:
                told = True
                backoff.reset()
                self._take(kind, item)
        if not told:
            await backoff.sleep()

    def _take(self, kind: str, item: Object) -> None:
        # For bookmarks too, which are for nothing else: without them a quiet
        # collection's version gets too old.
        self._version = str(metadata(item).get("resourceVersion", self._version))
        if kind == "BOOKMARK":
            return
        # Where only metadata is asked for, the API calls every object a PartialObjectMetadata.
        item.update(apiVersion=self._resource.gvk.api_version, kind=self._resource.gvk.kind)
        self._store(key_of(item), None if kind == "DELETED" else item)

    def _store(self, key: Key, new: Object | None) -> None:
        old = self._objects.get(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        # A new list repeats what is known already; listeners hear of changes only.
        if _version(old) == _version(new):
            return
        for listener in self._listeners:
            try:
                listener(Change(key, old, new))
            except (
                Exception
            ):  # one object, one listener: the others are to hear of this one, and all of the next
                log.exception("%s %s: its change was not taken in", self._resource.plural, key)


def _version(obj: Object | None) -> str | None:
    return None if obj is None else str(metadata(obj).get("resourceVersion", ""))
