"""The figures of this node (day2 reference §12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from rke2.metrics.exposition import CONTENT_TYPE
from rke2.supervisor.calls import Call

Figures = Callable[[], Awaitable[str]]
"""Collects them, in Prometheus' text format."""


class MetricsHandlers:
    """Answers those whom the API server lets (`rke2.supervisor.delegated`)."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    async def metrics(self, call: Call) -> web.Response:
        return answer(await self._figures())


def answer(figures: str) -> web.Response:
    """`figures` as Prometheus takes them."""
    return web.Response(body=figures.encode(), headers={"Content-Type": CONTENT_TYPE})
