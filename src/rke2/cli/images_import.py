"""put the images of archives into the containerd of this node, which must run"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from rke2.cli import images_options
from rke2.config.paths import Paths
from rke2.content.images.importing import import_archive, lacking
from rke2.content.images.store import ImageStore
from rke2.content.images.tables import list_images, nameless
from rke2.errors import ContentError

_REDRAW = 0.2


def run(argv: list[str]) -> int:
    """Run ``rke2 images import FILE…``; archives that cannot be used are reported, the others are imported.

    Returns:
        0, or 1 if an archive was not imported.

    Raises:
        ContentError: no containerd runs here.
    """
    parser = images_options.parser("import", f"{__doc__}. What it has already is not read.")
    parser.add_argument("archives", nargs="+", type=Path, metavar="FILE")
    images_options.add_data_dir(parser)
    parser.add_argument("--snapshotter", default="overlayfs", help="of the node (default: %(default)s)")
    options = parser.parse_args(argv)
    paths = Paths(data_dir=options.data_dir)
    if not paths.containerd_socket.exists():
        raise ContentError(
            "no containerd of rke2 runs on this host", "start rke2, or put the files into agent/images"
        )
    store = ImageStore(paths.bin / "ctr", paths.containerd_socket, options.snapshotter)
    return asyncio.run(_import_all(store, options.archives, paths.containerd_root))


async def _import_all(store: ImageStore, archives: list[Path], room: Path) -> int:
    failed = 0
    for archive in archives:
        try:
            await _import(store, archive, room)
        except ContentError as error:
            failed = 1
            print(f"rke2: error: {error.message}\n       hint: {error.remedy}", file=sys.stderr)
    return failed


async def _import(store: ImageStore, archive: Path, room: Path) -> None:
    images, held = await asyncio.to_thread(list_images, archive), await store.digests()
    for line in nameless(images):
        print(f"rke2: warning: image archive {archive}: {line}: no pod finds it", file=sys.stderr)
    wanted = {
        reference
        for image in images
        for reference in image.references
        if not image.digest or held.get(reference) != image.digest
    }
    for reference in sorted({reference for image in images for reference in image.references} - wanted):
        print(f"{reference}: there already")
    if not wanted:
        return
    shown, started = _Progress(archive.name), time.monotonic()

    async def imported(references: tuple[str, ...]) -> None:
        shown.clear()
        for reference in sorted({*references} & {*await store.digests()}):
            print(f"{reference}: imported", flush=True)

    await import_archive(store, archive, wanted, imported, room=room, on_read=shown.add)
    shown.clear()
    if error := lacking(archive, wanted, await store.digests()):
        raise error
    print(f"{archive}: done in {time.monotonic() - started:.1f} s")


class _Progress:
    """One line on a terminal; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self._name, self._bytes, self._drawn = name, 0, 0.0
        self._terminal = sys.stderr.isatty()

    def add(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._terminal and time.monotonic() - self._drawn > _REDRAW:
            self._drawn = time.monotonic()
            print(f"\r\033[K{self._name}: {self._bytes >> 20} MiB", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
