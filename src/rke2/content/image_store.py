"""containerd's image store, reached through ``ctr`` in the namespace the kubelet uses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rke2.errors import ContentError
from rke2.host import children

log = logging.getLogger(__name__)

NAMESPACE = "k8s.io"
_PINNED = "io.cri-containerd.pinned=pinned"


@dataclass(frozen=True)
class ImageStore:
    """The images containerd holds.

    Args:
        ctr: the client program.
        socket: containerd's gRPC socket.
    """

    ctr: Path
    socket: Path

    async def digests(self) -> dict[str, str]:
        """All images by reference, with the digest of the manifest (``sha256:…``) each resolves to."""
        table = (await self._run("images", "list")).splitlines()[1:]
        rows = (line.split() for line in table)
        return {row[0]: row[2] for row in rows if len(row) > 2}

    async def import_archive(self, path: Path) -> None:
        """Import and unpack every image of an archive; the kubelet's garbage collection will keep them.

        Raises:
            ContentError: containerd refuses it; names the archive and gives containerd's words.
        """
        await self._run("images", "import", "--label", _PINNED, str(path))

    async def import_stream(self, produce: Callable[[IO[bytes]], None]) -> None:
        """Import what `produce`, run in a thread, writes into the stream it is given.

        Raises:
            ContentError: as `import_archive`, or `produce` raised it.
        """
        reader, writer = os.pipe()

        def feed() -> None:
            with os.fdopen(writer, "wb", buffering=1 << 20) as sink:
                produce(sink)

        feeding = asyncio.create_task(asyncio.to_thread(feed))
        try:
            await self._run("images", "import", "--label", _PINNED, "-", stdin=reader)
        finally:
            os.close(reader)  # a producer whose reader has ended gets a BrokenPipeError
            with contextlib.suppress(BrokenPipeError):
                await feeding

    async def tag(self, reference: str, name: str) -> None:
        """Give the image `reference` the second name `name`."""
        await self._run("images", "tag", "--force", reference, name)

    async def _run(self, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> str:
        process = await asyncio.create_subprocess_exec(
            self.ctr,
            "--address",
            self.socket,
            "--namespace",
            NAMESPACE,
            *arguments,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await process.communicate()
        finally:
            await children.end(process)
        if process.returncode:
            words = errors.decode(errors="replace").strip().splitlines()
            raise ContentError(
                f"ctr {' '.join(arguments)}: {words[-1] if words else 'failed without a word'}"
            )
        return output.decode()
