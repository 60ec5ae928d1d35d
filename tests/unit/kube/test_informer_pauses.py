"""However a watch ends, the next one does not follow without a pause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from rke2.errors import KubeError
from rke2.kube import informer
from rke2.kube.client import Client, Page
from rke2.kube.resources import CONFIG_MAPS
from tests import virtual_time

SECONDS = 60


class Api:
    """Lists nothing."""

    async def list(self, *_: object, **__: object) -> Page:
        return Page([], "7")


@pytest.mark.parametrize(
    "error", [None, KubeError("too old", status=410, reason="Expired")], ids=["ends", "410"]
)
def test_watches_that_end_at_once(error: KubeError | None, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = 0

    @asynccontextmanager
    async def watch(*_: object, **__: object) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, Any]]]]:
        nonlocal opened
        opened += 1
        if opened > 1000:
            raise AssertionError("watches follow each other without a pause")
        yield _events()

    async def _events() -> AsyncIterator[tuple[str, dict[str, Any]]]:
        await asyncio.sleep(0)
        if error:
            raise error
        nothing: list[tuple[str, dict[str, Any]]] = []
        for event in nothing:
            yield event

    async def main() -> None:
        monkeypatch.setattr(informer, "watch", watch)
        running = asyncio.ensure_future(informer.Informer(cast(Client, Api()), CONFIG_MAPS).run())
        await asyncio.sleep(SECONDS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_time.run(main())
    assert SECONDS / 5 <= opened < 60
