"""Everything of a new release that can be done while the present one runs: verified, copied, tried, imported."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from rke2.config.paths import Paths
from rke2.content.images.importing import import_archive, lacking
from rke2.content.images.store import ImageStore
from rke2.content.images.tables import list_images
from rke2.errors import ContentError, HostError
from rke2.host.files import ensure_dir
from rke2.installation.exchange import places
from rke2.installation.journal import FilePlace, directory, sync
from rke2.installation.release_files import (
    SUMS,
    TARBALL,
    checksums,
    copy_verified,
    shelf,
    unpack,
    verify,
    version_of,
    wanted,
)

IMPORTED = 9
"""Times what the archives have: themselves, their content, some four times as large, and the same unpacked."""
_PROGRAM = 5
"""Times what the tarball has: its content, and the program unpacked."""
_COPIED = ".copied"
"""Marks releases on the shelf that an upgrade has put there, and the next one may remove."""
_TRIAL_SECONDS = 120.0

Say = Callable[[str], None]


def find(paths: Paths, version: str, source: Path | None) -> tuple[Path, list[str]]:
    """Where the release is, and the files of it that this node needs.

    Args:
        source: a directory that root has named; None for the shelf.

    Raises:
        ContentError: it is not there, not whole, or another version.
    """
    place = shelf(paths.data_dir, version)
    if source is None and not place.is_dir():
        raise ContentError(
            f"{place} is not there", "copy the release there, or name its directory with --from"
        )
    release = source or place
    if (found := version_of(release)) != version:
        raise ContentError(f"{release} is the release {found}, not {version}", "name the right directory")
    return release, wanted(release, paths.images)


def require_room(paths: Paths, release: Path, names: Iterable[str], store: ImageStore) -> None:
    """See that there is room for all of it, before anything is written.

    Raises:
        HostError: there is not; says how many bytes are needed.
    """
    files = [release / name for name in names]
    imported = asyncio.run(_to_import(files, store))
    on_shelf = release.parent == directory(paths.data_dir) / "releases"
    tarball = (release / TARBALL).stat().st_size
    _require(
        [
            (directory(paths.data_dir), 0 if on_shelf else sum(file.stat().st_size for file in files)),
            (directory(paths.data_dir), tarball),
            (paths.data, _PROGRAM * tarball),
            (paths.containerd_root, (IMPORTED - 1) * sum(file.stat().st_size for file in imported)),
        ]
    )


def _require(needs: Iterable[tuple[Path, int]]) -> None:
    """Room for all of `needs`, of which several may be on one file system."""
    places: dict[int, tuple[Path, int]] = {}
    for path, count in needs:
        there = next(each for each in (path, *path.parents) if each.exists())
        place, before = places.get(there.stat().st_dev, (there, 0))
        places[there.stat().st_dev] = place, before + count
    for place, needed in places.values():
        if (free := shutil.disk_usage(place).free) < needed:
            raise HostError(
                f"the upgrade needs about {needed} bytes in {place}, and {free} are free",
                f"free {needed - free} bytes there; nothing was changed",
            )


async def _to_import(files: Iterable[Path], store: ImageStore) -> list[Path]:
    """Archives that containerd, or the next start, still has to unpack."""
    held = await store.digests()
    archives = [file for file in files if file.name != TARBALL]
    missing = [await asyncio.to_thread(_missing, file, held) for file in archives]
    return [file for file, lacks in zip(archives, missing, strict=True) if lacks or "-runtime." in file.name]


def stage(
    paths: Paths, version: str, release: Path, names: list[str], prefix: Path, store: ImageStore, say: Say
) -> list[FilePlace]:
    """Put the release on the shelf, try its program, and import its images.

    Returns:
        What goes where when it is switched to.

    Raises:
        RKE2Error: something of it is no good; nothing that the node starts from was touched.
        OSError: there is no room.
    """
    place = shelf(paths.data_dir, version)
    _clear(paths.data_dir, place)
    _verified(release, place, names, say)
    unpacked = directory(paths.data_dir) / "next"
    shutil.rmtree(unpacked, ignore_errors=True)
    files = unpack(place / TARBALL, unpacked)
    say("trying the program")
    try_program(unpacked / "bin/rke2", version, paths)
    archives = [place / name for name in names if name != TARBALL]
    asyncio.run(_import_all(store, [each for each in archives if "-runtime." not in each.name], paths, say))
    return places(unpacked, files, prefix, archives, paths)


def _clear(data_dir: Path, place: Path) -> None:
    """Remove what earlier upgrades have put on the shelf."""
    for old in place.parent.glob(f"*/{_COPIED}"):
        if old.parent != place:
            shutil.rmtree(old.parent)


def _verified(release: Path, place: Path, names: Iterable[str], say: Say) -> None:
    sums = checksums(release)
    if release == place:
        for name in names:
            say(f"verifying {name}")
            verify(place / name, sums[name])
        return
    ensure_dir(directory(place.parent.parent.parent), 0o700)
    ensure_dir(place)
    (place / _COPIED).touch()
    for name in names:
        say(f"copying {name}")
        # The copy is verified as it is made: what is on other disks may change in between.
        copy_verified(release / name, place / f".{name}.part", sums[name])
        (place / f".{name}.part").replace(place / name)
    # Last: a release without its sums is not whole.
    shutil.copyfile(release / SUMS, place / SUMS)
    sync(place)


def try_program(program: Path, version: str, paths: Paths) -> None:
    """See that the program runs on this host, and is the version it is taken for; this also unpacks it.

    Raises:
        ContentError: it does not.
    """
    environment = {**os.environ, "RKE2_DATA_DIR": str(paths.data_dir)}
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ContentError(
            f"the program of {version} does not run here: {error}", "copy the release again"
        ) from error
    if done.returncode or not done.stdout.startswith(f"rke2 version {version} "):
        said = (done.stderr or done.stdout).strip() or "nothing"
        raise ContentError(
            f"the program of {version} does not run here: `rke2 --version` said {said} and ended with "
            f"{done.returncode}",
            "see whether it is for this machine, and whether the data directory is mounted with exec",
        )


# --- images ----------------------------------------------------------------------------------------
async def _import_all(store: ImageStore, archives: Iterable[Path], paths: Paths, say: Say) -> None:
    for archive in archives:
        missing = await asyncio.to_thread(_missing, archive, await store.digests())
        if missing:
            say(f"importing {archive.name}")
            await import_archive(store, archive, missing, _ignore, room=paths.containerd_root)
            if untrue := lacking(archive, missing, await store.digests()):
                raise untrue


def _missing(archive: Path, held: dict[str, str]) -> set[str]:
    return {
        reference
        for image in list_images(archive)
        for reference in image.references
        if not image.digest or held.get(reference) != image.digest
    }


async def _ignore(references: tuple[str, ...]) -> None:
    """Nobody waits for one image alone."""
