"""Importing the distribution's archives: rke2's way against ``ctr images import``, and other ways that were tried.

Each on a new containerd in namespaces without uplink, images on this machine's disk. Run with `make bench-content`;
options: ``--runs N`` (2), ``--content build/dist``, ``--all`` for the ways that lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import IO

from rke2.content import feed
from rke2.content.archives import list_images
from rke2.content.image_store import ImageStore
from rke2.content.preload import Preload
from tests.bench.quiet import until_quiet
from tests.isolation import Isolated, isolated

RUNTIME = "rke2-runtime"

_CONFIG = """version = 3
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
address = "{directory}/containerd.sock"
"""

Way = Callable[[ImageStore, Path, list[Path]], Awaitable[None]]


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
        if RUNTIME.removeprefix("rke2-") not in archive.name:
            (part,) = feed.whole(archive, [], room)
            await store.import_stream(partial(_all_of, part))


def _all_of(part: feed.Part, sink: IO[bytes]) -> None:
    part.write(sink)
    part.end(sink)


async def unchanged(store: ImageStore, directory: Path, archives: list[Path]) -> None:
    """A second start."""
    await as_rke2(store, directory, archives)


WAYS: dict[str, Way] = {"rke2": as_rke2, "ctr, one after the other": in_sequence}
OTHERS: dict[str, Way] = {
    "ctr, side by side": side_by_side,
    "ctr, --no-unpack": without_unpacking,
    "rke2, archive by archive": archive_by_archive,
}


# --- the bench -----------------------------------------------------------------------------------------
def main() -> None:
    options = _options()
    content: Path = options.content.absolute()
    archives = sorted(content.glob("rke2-images-*.tar.zst"), key=lambda path: "core" not in path.name)
    print_sizes(archives)
    ways = {**WAYS, **(OTHERS if options.all else {})}
    seconds: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    with isolated() as host:
        for _ in range(options.runs):
            for name, way in ways.items():
                until_quiet()
                for label, (passed, used) in asyncio.run(
                    measured(host, content, archives, name, way)
                ).items():
                    seconds.setdefault(label, []).append(passed)
                    cpu.setdefault(label, []).append(used)
    base = statistics.median(seconds["ctr, one after the other"])
    print(f"\n{'import (median)':<34}{'seconds':>9}{'CPU s':>8}{'ratio':>7}")
    for label, values in seconds.items():
        median = statistics.median(values)
        print(f"{label:<34}{median:>9.2f}{statistics.median(cpu[label]):>8.2f}{median / base:>7.2f}")


async def measured(
    host: Isolated, content: Path, archives: list[Path], name: str, way: Way
) -> dict[str, tuple[float, float]]:
    """Wall-clock and CPU seconds of one import, for rke2 also of the start after it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        directory = Path(scratch)
        (images := directory / "images").mkdir()
        placed = [Path(shutil.copy(archive, images)) for archive in archives]
        (directory / "config.toml").write_text(_CONFIG.format(directory=directory))
        program = ("env", f"PATH={content}/bin:/usr/sbin:/usr/bin:/sbin:/bin", content / "bin/containerd")
        with host.running(*program, "-c", directory / "config.toml", log=directory / "log") as process:
            store = ImageStore(content / "bin/ctr", directory / "containerd.sock")
            await _until_up(store)
            labels = {name: way, **({"rke2, nothing changed": unchanged} if name == "rke2" else {})}
            found = {}
            for label, work in labels.items():
                began, before = time.monotonic(), _cpu(process.pid)
                await work(store, images, placed)
                found[label] = (time.monotonic() - began, _cpu(process.pid) - before)
        return found


async def _until_up(store: ImageStore) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            await store.digests()
        except Exception:  # noqa: BLE001 - asked again until the deadline
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError("containerd does not answer")


def _cpu(containerd: int) -> float:
    """CPU seconds of this process, its finished children, and containerd."""
    fields = Path(f"/proc/{containerd}/stat").read_text().rpartition(")")[2].split()
    return sum(os.times()[:4]) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_sizes(archives: list[Path]) -> None:
    """Compressed sizes, and what each image's layers take unpacked."""
    import tarfile

    from rke2.content.archives import member_name, open_archive

    print(f"{'archive or image':<58}{'MB':>7}")
    for archive in archives:
        with open_archive(archive) as tar:
            sizes = {member_name(member): member.size for member in tar if member.type == tarfile.REGTYPE}
        print(f"{archive.name:<58}{archive.stat().st_size / 1e6:>7.1f}")
        for image in list_images(archive):
            print(f"  {image.references[0]:<56}{sum(sizes[name] for name in image.layers) / 1e6:>7.1f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--content", type=Path, default=Path("build/dist"))
    parser.add_argument("--all", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
