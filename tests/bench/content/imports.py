"""Importing the archives of a node: rke2's way against ``ctr images import``, and other ways that were tried.

Each on a new containerd in namespaces without uplink, images on this machine's disk.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import IO, Any

from rke2.content.images import import_stream
from rke2.content.images.preload import Preload
from rke2.content.images.store import ImageStore
from rke2.content.images.tables import list_images
from tests.bench.content.options import Options
from tests.bench.quiet import until_quiet
from tests.containerd import bare_containerd
from tests.isolation import Isolated, isolated

RUNTIME = "rke2-runtime"

Way = Callable[[ImageStore, Path, list[Path]], Coroutine[Any, Any, None]]


# --- ways to import ------------------------------------------------------------------------------------
async def as_rke2(store: ImageStore, directory: Path, archives: list[Path]) -> None:
    """What a node does: all but the runtime image, one image unpacked while the next one is read."""
    runtime = [
        name
        for path in archives
        for image in list_images(path)
        for name in image.references
        if RUNTIME in name
    ]
    await Preload(store, directory, skip=runtime).run()


async def in_sequence(store: ImageStore, _: Path, archives: list[Path]) -> None:
    """``ctr images import`` of each archive, one after the other."""
    for archive in archives:
        await store._run("images", "import", str(archive))


async def without_runtime(store: ImageStore, directory: Path, archives: list[Path]) -> None:
    """As `in_sequence`, but of the images that rke2 imports."""
    await in_sequence(store, directory, [path for path in archives if not _is_runtime(path)])


async def side_by_side(store: ImageStore, _: Path, archives: list[Path]) -> None:
    """``ctr images import`` of all archives at once."""
    await asyncio.gather(*(store._run("images", "import", str(archive)) for archive in archives))


async def without_unpacking(store: ImageStore, _: Path, archives: list[Path]) -> None:
    """As `in_sequence`, nothing unpacked: the first container of each image pays for that."""
    for archive in archives:
        await store._run("images", "import", "--no-unpack", str(archive))


async def archive_by_archive(store: ImageStore, room: Path, archives: list[Path]) -> None:
    """The stream of rke2, each archive in one piece."""
    for archive in archives:
        if not _is_runtime(archive):
            (part,) = import_stream.whole(archive, [], room)
            await store.import_stream(partial(_all_of, part))


def _is_runtime(archive: Path) -> bool:
    return archive.name.startswith("rke2-images-runtime.")


def _all_of(part: import_stream.ImportPart, sink: IO[bytes]) -> None:
    part.write(sink)
    part.end(sink)


async def unchanged(store: ImageStore, directory: Path, archives: list[Path]) -> None:
    """A second start."""
    await as_rke2(store, directory, archives)


BASE = "ctr, one after the other"
WAYS: dict[str, Way] = {
    "rke2": as_rke2,
    BASE: in_sequence,
    "ctr, without the runtime image": without_runtime,
}
OTHERS: dict[str, Way] = {
    "ctr, side by side": side_by_side,
    "ctr, --no-unpack": without_unpacking,
    "rke2, archive by archive": archive_by_archive,
}


# --- the bench -----------------------------------------------------------------------------------------
def measure(options: Options) -> None:
    """Print wall-clock and CPU seconds of each way."""
    archives = sorted(options.archives_with(), key=lambda path: "core" not in path.name)
    ways = {**WAYS, **(OTHERS if options.every_way else {})}
    seconds: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    with isolated() as host:
        for _ in range(options.runs):
            for name, way in ways.items():
                until_quiet()
                found = measured(host, options.content / "bin", archives, name, way)
                for label, (passed, used) in found.items():
                    seconds.setdefault(label, []).append(passed)
                    cpu.setdefault(label, []).append(used)
    base = statistics.median(seconds[BASE])
    print(f"{'import (median)':<34}{'seconds':>9}{'CPU s':>8}{'ratio':>7}")
    for label, values in seconds.items():
        median = statistics.median(values)
        print(f"{label:<34}{median:>9.2f}{statistics.median(cpu[label]):>8.2f}{median / base:>7.2f}")


def measured(
    host: Isolated, programs: Path, archives: list[Path], name: str, way: Way
) -> dict[str, tuple[float, float]]:
    """Wall-clock and CPU seconds of one import, for rke2 also of the start after it."""
    labels = {name: way, **({"rke2, nothing changed": unchanged} if way is as_rke2 else {})}
    found = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        directory = Path(scratch)
        (images := directory / "images").mkdir()
        placed = [Path(shutil.copy(archive, images)) for archive in archives]
        with bare_containerd(host, directory, programs) as containerd:
            store = ImageStore(programs / "ctr", containerd.socket)
            for label, work in labels.items():
                began, before = time.monotonic(), _cpu(containerd.process.pid)
                asyncio.run(work(store, images, placed))
                found[label] = (time.monotonic() - began, _cpu(containerd.process.pid) - before)
            _check(asyncio.run(store.digests()), placed)
    return found


def _check(stored: Iterable[str], archives: list[Path]) -> None:
    """A way that leaves something out is no way."""
    wanted = {name for path in archives for image in list_images(path) for name in image.references}
    missing = {name for name in wanted - {*stored} if RUNTIME not in name}
    assert not missing, f"not imported: {', '.join(sorted(missing))}"


def _cpu(containerd: int) -> float:
    """CPU seconds of this process, its finished children, and containerd."""
    fields = Path(f"/proc/{containerd}/stat").read_text().rpartition(")")[2].split()
    return sum(os.times()[:4]) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
