"""Images through the container runtime from their registries, each once, until they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rke2.content.images.cri import CRI
from rke2.content.images.names import normalize
from rke2.errors import ComponentError, ContentError

log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0


class Pulls:
    """The images that `cri` holds or is to hold.

    Args:
        pull: in place of the runtime's own pulling.
    """

    def __init__(self, cri: CRI, pull: Callable[[str], Awaitable[None]] | None = None) -> None:
        self._cri = cri
        self._pull = pull or cri.pull
        self._held: frozenset[str] = frozenset()
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, text: str, say: Callable[[str], None]) -> None:
        """Return when the runtime holds the image; a registry that does not give it is asked again.

        Args:
            say: gets what is waited for.
        """
        reference = normalize(text)
        async with self._locks.setdefault(reference, asyncio.Lock()):
            delay = FIRST_DELAY
            while not await self._holds(reference):
                say(f"image {reference} to be pulled")
                try:
                    await self._pull(reference)
                    log.info("pulled %s", reference)
                    return
                except (ComponentError, ContentError) as error:
                    say(f"image {reference} cannot be pulled: {error.message}")
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, LONGEST_DELAY)

    async def holds(self, text: str) -> bool:
        """Whether the runtime holds the image now.

        Raises:
            ComponentError: it does not say.
        """
        return await self._holds(normalize(text))

    async def _holds(self, reference: str) -> bool:
        if reference not in self._held:
            self._held = await self._cri.images()
        return reference in self._held
