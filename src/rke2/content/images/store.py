"""containerd's image store, reached through ``ctr`` in the namespace the kubelet uses."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rke2.config.model import NodeConfig
from rke2.config.redaction import without_proxies
from rke2.errors import ContentError, explained
from rke2.host import children

log = logging.getLogger(__name__)

NAMESPACE = "k8s.io"
PINNED = "io.cri-containerd.pinned=pinned"
"""The label that keeps an image from the kubelet's garbage collection."""

_ROW = re.compile(r"(\S+)\s+\S+\s+(sha256:[0-9a-f]{64})\s+(\S+)")
_PIPE_SIZE = 1 << 20


class Import:
    """A ``ctr images import`` that takes what is written to it; `finish` or `abandon` ends it.

    containerd gets nothing but content before the end of the stream: it registers images after that.
    """

    def __init__(self, process: asyncio.subprocess.Process, writer: int, errors: int) -> None:
        self._process = process
        self._sink: IO[bytes] = os.fdopen(writer, "wb", buffering=_PIPE_SIZE)
        self._errors: IO[bytes] = os.fdopen(errors, "rb")
        self._writing: asyncio.Future[None] | None = None

    async def write(self, produce: Callable[[IO[bytes]], None]) -> None:
        """Take what `produce`, run in a thread, writes into the stream it is given.

        Raises:
            ContentError: containerd refuses what it got so far, or `produce` raised it.
        """
        # Not a task: a thread cannot be cancelled; `abandon` waits for its end.
        self._writing = asyncio.get_running_loop().run_in_executor(None, produce, self._sink)
        try:
            await asyncio.shield(self._writing)
        except BrokenPipeError:
            await self.finish()

    async def finish(self) -> None:
        """End the stream; returns when its images are registered and unpacked.

        Raises:
            ContentError: containerd refuses them; in its words.
        """
        await asyncio.to_thread(self._close)
        if await self._process.wait():
            self._errors.seek(0)
            words = self._errors.read().decode(errors="replace").strip().splitlines()
            reason = words[-1].removeprefix("ctr: ") if words else "no reason given"
            raise ContentError(f"containerd refuses it: {reason}")

    async def abandon(self) -> None:
        """End it without registering anything, unless it is finished."""
        await children.end(self._process)
        if self._writing:
            await asyncio.gather(self._writing, return_exceptions=True)
        self._close()
        self._errors.close()

    def _close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._sink.close()


@dataclass(frozen=True)
class ImageStore:
    """The images containerd holds.

    Args:
        ctr: the client program.
        socket: containerd's gRPC socket.
        snapshotter: what images are unpacked with.
    """

    ctr: Path
    socket: Path
    snapshotter: str = "overlayfs"

    @classmethod
    def of_node(cls, config: NodeConfig) -> ImageStore:
        """That of the node's own containerd."""
        paths = config.paths
        return cls(paths.bin / "ctr", paths.containerd_socket, config.runtime.snapshotter)

    async def digests(self) -> dict[str, str]:
        """All images whose content is complete, by reference, with the digest (``sha256:…``) each resolves to.

        An image may be registered although content of it is missing: after an import that failed, or when
        somebody removed content by hand.
        """
        rows = map(_ROW.match, (await self._run("images", "check")).splitlines()[1:])
        return {row[1]: row[2] for row in rows if row and row[3] == "complete"}

    async def begin_import(self) -> Import:
        """Start an import; the images get pinned.

        ``--local``: the client reads the stream itself. Through the transfer service every byte passes containerd
        twice, at twice the CPU time (docs/performance.md). The client does not decompress then.
        """
        reader, writer = os.pipe()
        with contextlib.suppress(OSError):  # the user's pipe quota (fs.pipe-user-pages-soft) is used up
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        # A file in memory: a pipe would need somebody who reads it all the time.
        errors = os.memfd_create("ctr")
        try:
            options = ("--local", "--label", PINNED, "--snapshotter", self.snapshotter)
            process = await self._start(
                "images",
                "import",
                *options,
                "-",
                stdin=reader,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
            )
        except BaseException:
            os.close(writer)
            os.close(errors)
            raise
        finally:
            os.close(reader)  # ours: a writer whose only reader has ended gets a BrokenPipeError
        return Import(process, writer, errors)

    async def import_stream(self, produce: Callable[[IO[bytes]], None]) -> None:
        """Import what `produce`, run in a thread, writes into the stream it is given.

        Raises:
            ContentError: containerd refuses it, or `produce` raised it.
        """
        importing = await self.begin_import()
        try:
            await importing.write(produce)
            await importing.finish()
        finally:
            await importing.abandon()

    async def remove(self, references: Sequence[str]) -> None:
        """Remove images; those that are not there are no error (``ctr`` says nothing of them)."""
        await self._run("images", "rm", *references)

    async def export(self, references: Sequence[str], target: Path) -> None:
        """Write images into an OCI archive."""
        await self._run("images", "export", str(target), *references)

    async def copy_out(self, reference: str, files: Mapping[str, Path], room: Path) -> None:
        """Copy files of an image that is unpacked.

        Args:
            files: path in the image, without the slash in front -> where it goes.
            room: a directory that a reboot empties; the image is mounted below it meanwhile. Each time in a new place:
                who is killed leaves a mount, and a snapshot of its name, behind.

        Raises:
            ContentError: there is no such image, or no such file in it.
        """
        mount = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=room, prefix="image-"))
        await self._run("images", "mount", "--snapshotter", self.snapshotter, reference, str(mount))
        try:
            for path, target in files.items():
                await asyncio.to_thread(shutil.copy2, mount / path, target)
        except OSError as error:
            # Of a copy that fails both files are named; a disk that is full is the target's.
            error.filename = error.filename2 or error.filename
            fault = explained(error, f"cannot copy out of image {reference}")
            raise ContentError(fault.message, fault.remedy) from error
        finally:
            await self._run("images", "unmount", "--rm", str(mount))
            mount.rmdir()

    async def tag(self, reference: str, names: Sequence[str]) -> None:
        """Give the image `reference` further names, pinned like it (``ctr images tag`` copies no labels)."""
        await self._run("images", "tag", "--force", reference, *names)
        for name in names:
            await self.pin(name)

    async def pin(self, reference: str) -> None:
        """Keep the image from garbage collection."""
        await self._run("images", "label", reference, PINNED)

    async def _run(self, *arguments: str) -> str:
        process = await self._start(*arguments, stdin=asyncio.subprocess.DEVNULL)
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

    async def _start(
        self,
        *arguments: str,
        stdin: int,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *map(str, (self.ctr, "--address", self.socket, "--namespace", NAMESPACE, *arguments)),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=without_proxies(os.environ),
            )
        except OSError as error:
            raise ContentError(f"cannot run {self.ctr}: {error.strerror}") from error
