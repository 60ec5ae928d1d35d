"""What everybody may ask: whether a supervisor is there, and files for whoever installs a node."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from rke2.supervisor.api.answers import file, not_found
from rke2.supervisor.calls import Call

_PREFIX = "/static/"


class PublicHandlers:
    """Answers everybody.

    Args:
        root: folder of the files, ``<dd>/server/static``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def ping(self, call: Call) -> web.Response:
        return web.Response(text="pong")

    async def static(self, call: Call) -> web.StreamResponse:
        """A file below the folder; nothing outside of it, however the path is written."""
        root, name = self._root.resolve(), call.path.removeprefix(_PREFIX)
        try:
            # Resolved before it is compared, so that neither `..` nor a link leads elsewhere.
            path = (root / name).resolve()
        except (OSError, ValueError):
            raise not_found() from None
        # An absolute name takes the place of the folder when it is joined to it.
        if name.startswith("/") or not path.is_relative_to(root):
            raise not_found()
        return file(path)
