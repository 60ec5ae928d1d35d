"""Images through the container runtime from their registries, each once, until they are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from rke2.content.archives import normalize
from rke2.content.cri import CRI
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

    async def _holds(self, reference: str) -> bool:
        if reference not in self._held:
            self._held = await self._cri.images()
        return reference in self._held


async def pull_lists(cri: CRI, lists: list[Path]) -> list[str]:
    """Pull every image that is named in the files, a reference a line, and is not there yet.

    Comments begin with ``#``. What cannot be pulled is reported; the others go on.

    Returns:
        The references that are not there now.
    """
    references = list(dict.fromkeys(line for path in lists for line in _lines(path)))
    held = await cri.images() if references else frozenset()
    failed = []
    for reference in references:
        if normalize(reference) in held:
            continue
        try:
            await cri.pull(reference)
            log.info("pulled %s", reference)
        except ComponentError as error:
            log.error("image %s of a list in agent/images cannot be pulled: %s", reference, error.message)
            failed.append(reference)
    return failed


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        log.error("image list %s cannot be read: %s", path, error)
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
