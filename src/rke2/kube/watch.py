"""One watch connection: a JSON event per line, on a response the server ends after some minutes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from rke2.errors import KubeError
from rke2.kube.client import JSON, METADATA, Client, selectors
from rke2.kube.objects import Object
from rke2.kube.resources import Resource

WATCH_SECONDS = (240, 360)
"""How long the server is asked to keep a watch open; spread so that watches do not end together."""

Events = AsyncIterator[tuple[str, Object]]
"""Pairs of event type (ADDED, MODIFIED, DELETED, BOOKMARK) and object."""


@asynccontextmanager
async def watch(
    client: Client,
    resource: Resource,
    namespace: str = "",
    *,
    resource_version: str = "",
    label_selector: str = "",
    field_selector: str = "",
    metadata_only: bool = False,
) -> AsyncIterator[Events]:
    """Open a watch; inside the context the events can be iterated until the server ends the connection.

    Args:
        resource_version: the version to go on from; empty starts with ADDED for everything there is.
        metadata_only: ask for PartialObjectMetadata.

    Raises:
        KubeError: the connection failed or broke, or the server sent an error event; status 410 means that
            `resource_version` is too old and the collection must be listed again.
    """
    seconds = random.randint(*WATCH_SECONDS)
    query = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(seconds),
        **selectors(label_selector, field_selector),
    }
    if resource_version:
        query["resourceVersion"] = resource_version
    path = resource.path(namespace)
    accept = METADATA.format("PartialObjectMetadata") if metadata_only else JSON
    # A watch may be silent for as long as it lasts. Longer than that means that the server is gone without a word.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=seconds + 10)
    async with client.connect("GET", path, query=query, accept=accept, timeout=timeout) as response:
        yield _events(response, path)


async def _events(response: aiohttp.ClientResponse, path: str) -> Events:
    async for line in _lines(response):
        event = msgspec.json.decode(line)
        if event["type"] == "ERROR":
            raise _error(path, event["object"])
        yield event["type"], event["object"]


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length (aiohttp's own readline has a limit that CRDs exceed)."""
    # Joined once per line: adding chunk to chunk would copy a large CRD again for each of them.
    pending: list[bytes] = []
    async for chunk in response.content.iter_any():
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            yield b"".join([*pending, line])
            pending.clear()
        # What is left when the response ends is dropped: the server ends every event with a newline.
        if rest:
            pending.append(rest)


def _error(path: str, status: Object) -> KubeError:
    message = status.get("message") or status.get("reason") or "error event"
    return KubeError(
        f"watch {path}: {message}",
        # Never 0: that would mean that nothing answered, and the informer would keep its version.
        status=int(status.get("code") or 500),
        reason=str(status.get("reason") or ""),
    )
