"""Events on objects, as ``kubectl describe`` shows them: recorded in the background, repeats counted.

core/v1 Events with the component's name, in the form of client-go's recorder.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import Object, metadata, name_of, namespace_of
from rke2.kube.resources import EVENTS
from rke2.kube.timestamps import now_seconds

log = logging.getLogger(__name__)
PENDING_LIMIT = 1000
REMEMBERED = 256

EventType = Literal["Normal", "Warning"]
Identity = tuple[str, str, str, str]


class EventRecorder:
    """Records events; `emit` never blocks nor fails, `run` delivers.

    Args:
        component: who speaks (``source.component``).
        node: this node's name, for events of the node's own.
    """

    def __init__(self, client: Client, component: str, node: str = "") -> None:
        self._client, self._component, self._node = client, component, node
        self._pending: asyncio.Queue[tuple[Identity, Object]] = asyncio.Queue(PENDING_LIMIT)
        self._recorded: OrderedDict[Identity, Object] = OrderedDict()

    def emit(
        self,
        about: Object,
        kind: EventType,
        reason: str,
        message: str,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Record that something happened to `about`.

        Args:
            reason: CamelCase, for machines.
            message: for people.
        """
        level = logging.WARNING if kind == "Warning" else logging.DEBUG
        log.log(level, "%s %s: %s: %s", about.get("kind"), name_of(about), reason, message)
        event = self._event(about, kind, reason, message, annotations or {})
        identity = (str(metadata(about).get("uid")), kind, reason, message)
        try:
            self._pending.put_nowait((identity, event))
        except asyncio.QueueFull:
            # Dropped, not waited for: listeners and handlers emit, and an event
            # is never worth holding them up.
            log.debug("event dropped: %s", message)

    async def run(self) -> None:
        """Deliver events until cancelled; one that the API refuses is given up."""
        while True:
            identity, event = await self._pending.get()
            try:
                await self._deliver(identity, event)
            except KubeError as error:
                log.debug("event not recorded: %s", error)
            except Exception:  # one that cannot be delivered must not keep the others
                log.exception("event not recorded: %s", event.get("message"))

    async def flush(self) -> None:
        """Deliver what was emitted, for who has nothing else to tell; nobody else may be in `run`.

        Raises:
            KubeError: the API refuses an event, or does not answer; it is not kept.
        """
        while not self._pending.empty():
            await self._deliver(*self._pending.get_nowait())

    async def _deliver(self, identity: Identity, event: Object) -> None:
        # Taken out and put in again at the end: the event that was told the longest ago is forgotten first.
        earlier = self._recorded.pop(identity, None)
        recorded = await self._repeat(earlier, event) if earlier else None
        self._recorded[identity] = recorded or await self._client.create(EVENTS, event)
        while len(self._recorded) > REMEMBERED:
            self._recorded.popitem(last=False)

    async def _repeat(self, earlier: Object, event: Object) -> Object | None:
        """Count the earlier event up; None if it has expired."""
        patch = {"count": earlier["count"] + 1, "lastTimestamp": event["lastTimestamp"]}
        try:
            return await self._client.patch(EVENTS, name_of(earlier), patch, namespace=namespace_of(earlier))
        except KubeError as error:
            # Events live for an hour; counting up one that is gone would lose the news.
            if error.status == 404:
                return None
            raise

    def _event(
        self, about: Object, kind: EventType, reason: str, message: str, annotations: Mapping[str, str]
    ) -> Object:
        now, namespace = now_seconds(), namespace_of(about) or "default"
        meta = metadata(about)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{name_of(about)}.{time.time_ns():x}",
                "namespace": namespace,
                "annotations": dict(annotations),
            },
            "involvedObject": {
                "apiVersion": about.get("apiVersion", ""),
                "kind": about.get("kind", ""),
                "namespace": namespace_of(about),
                "name": name_of(about),
                "uid": meta.get("uid", ""),
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "reason": reason,
            "message": message[:1024],
            "type": kind,
            "source": {"component": self._component, "host": self._node},
            "reportingComponent": self._component,
            "reportingInstance": self._node,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
