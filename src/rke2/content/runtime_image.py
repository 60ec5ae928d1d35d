"""The runtime image: the node's binaries and packaged charts, unpacked to ``<dd>/data/<key>/``.

Atomic: everything is unpacked beside its place and renamed into it, so a kill at any moment leaves either
nothing or all of it; what a killed process left behind is removed by the next one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from rke2.config.paths import Paths
from rke2.content.archives import (
    CHUNK,
    ArchivedImage,
    decompress_layer,
    is_archive,
    list_images,
    no_space,
    normalize,
    open_archive,
    read_member,
    verified,
)
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture
from rke2.host.files import ensure_dir, write_atomic

log = logging.getLogger(__name__)

_MARKER = ".extracted"
_SCRATCH = ".extracting-"
_PARTS = ("bin", "charts")
_VERSION_TAG = re.compile(r"v[0-9].*")


@dataclass(frozen=True)
class RuntimeContent:
    """An unpacked runtime image."""

    reference: str
    root: Path

    @classmethod
    def of(cls, paths: Paths, reference: str) -> RuntimeContent:
        """Where `reference` is, or will be, unpacked.

        Raises:
            ContentError: the reference has neither a version tag nor a digest.
        """
        return cls(reference, paths.data / data_key(reference))

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def charts(self) -> Path:
        return self.root / "charts"


class Puller(Protocol):
    """Fetches an image from a registry into an archive file (the seam for the pull path)."""

    def pull(self, reference: str, target: Path) -> None:
        """Write the image `reference` as an OCI archive to `target`."""


def data_key(reference: str) -> str:
    """The directory name for `reference` (layout reference §1.2).

    A tag ``v<digit>…`` gives ``<tag>-<12 hex of the sha256 of the reference>``, a digest gives its hex part.

    Raises:
        ContentError: the reference has neither.
    """
    name, at, digest = reference.partition("@")
    if at:
        return digest.partition(":")[2]
    tag = name.rpartition("/")[2].partition(":")[2]
    if not _VERSION_TAG.fullmatch(tag):
        raise ContentError(
            f"runtime image {reference!r} has neither a version tag (v1.2.3) nor a digest",
            "set runtime-image to a reference with one of them",
        )
    return f"{tag}-{hashlib.sha256(reference.encode()).hexdigest()[:12]}"


def ensure_runtime(
    paths: Paths,
    reference: str,
    puller: Puller | None = None,
    *,
    given_up: Callable[[], bool] = lambda: False,
) -> RuntimeContent:
    """Have the runtime image unpacked and ``<dd>/bin`` point to it.

    Looks for it in this order: already unpacked, an archive in ``agent/images``, the registry.

    Args:
        given_up: asked between two layers, from the calling thread; unpacking ends once it is true.

    Raises:
        ContentError: it is nowhere, damaged, of another architecture, or the disk is full.
    """
    content = RuntimeContent.of(paths, reference)
    _remove_scratch(paths.data)
    if not _complete(content):
        archive, image = find_image(paths.images, reference) or _pull(paths, reference, puller)
        log.info("unpacking the runtime image %s from %s", reference, archive)
        _unpack(archive, image, content, given_up)
    _point_bin_to(paths, content)
    remove_old_data(paths, content.root.name)
    return content


def find_image(directory: Path, reference: str) -> tuple[Path, ArchivedImage] | None:
    """The archive in `directory` that holds `reference`, files named after the runtime first.

    An archive that cannot be read is reported and passed over: another may hold the image.

    Raises:
        ContentError: not found, and some archive could not be read.
    """
    wanted, unreadable = normalize(reference), []
    for archive in sorted(archives_in(directory), key=lambda path: "runtime" not in path.name):
        try:
            for image in list_images(archive):
                if wanted in image.references:
                    return archive, image
        except ContentError as error:
            log.warning("%s", error)
            unreadable.append(error)
    if unreadable:
        raise unreadable[0]
    return None


def archives_in(directory: Path) -> list[Path]:
    """The image archives in `directory`, sorted by name."""
    return sorted(path for path in directory.iterdir() if is_archive(path)) if directory.is_dir() else []


def remove_old_data(paths: Paths, current: str) -> None:
    """Remove unpacked images of other versions that no container's shim was started from (lifecycle §5)."""
    for old in paths.data.glob("v[0-9]*"):
        if old.name != current and not _used_by_shims(old, paths.containerd_tasks):
            log.info("removing the content of an old version: %s", old)
            shutil.rmtree(old, ignore_errors=True)


def _pull(paths: Paths, reference: str, puller: Puller | None) -> tuple[Path, ArchivedImage]:
    if puller is None:
        found = ", ".join(path.name for path in archives_in(paths.images)) or "no archives"
        raise ContentError(
            f"runtime image {reference} is in none of the archives in {paths.images} ({found}),"
            " and pulling it from a registry is not supported yet",
            "put rke2-images-runtime.linux-<arch>.tar.zst there, or set runtime-image to the one that is",
        )
    target = ensure_dir(paths.data) / f"{_SCRATCH}pull.tar"
    puller.pull(reference, target)
    return target, list_images(target)[0]


def _complete(content: RuntimeContent) -> bool:
    return content.bin.is_dir() and content.charts.is_dir() and (content.root / _MARKER).is_file()


def _unpack(
    archive: Path, image: ArchivedImage, content: RuntimeContent, given_up: Callable[[], bool]
) -> None:
    scratch = ensure_dir(content.root.parent) / f"{_SCRATCH}{content.root.name}"
    try:
        for part in _PARTS:
            (scratch / part).mkdir(parents=True)
        _extract_parts(archive, image, scratch, given_up)
        (scratch / "bin").chmod(0o755)
        write_atomic(scratch / _MARKER, content.reference, 0o644)
        shutil.rmtree(content.root, ignore_errors=True)
        scratch.rename(content.root)
    except OSError as error:
        if no_space(error):
            raise ContentError(
                f"no space left in {content.root.parent} while unpacking {archive.name}",
                "free about 1 GiB there; the half-unpacked files were removed",
            ) from error
        raise ContentError(f"cannot unpack the runtime image to {content.root}: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _extract_parts(archive: Path, image: ArchivedImage, target: Path, given_up: Callable[[], bool]) -> None:
    """Unpack ``/bin`` and ``/charts`` of all layers; a file of a later layer wins wherever its layer lies."""
    owner: dict[Path, int] = {}
    seen: set[str] = set()
    with open_archive(archive) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name == image.config:
                _check_platform(archive, json.loads(read_member(tar, member)))
            elif name in image.layers:
                if given_up():
                    raise ContentError(f"unpacking {archive} was interrupted", "start rke2 again")
                with verified(tar, member) as blob:
                    _extract_layer(decompress_layer(blob), image.layers.index(name), target, owner)
            else:
                continue
            seen.add(name)
    if missing := {image.config, *image.layers} - seen:
        raise ContentError(f"image archive {archive} lacks {', '.join(sorted(missing))}", "copy it again")
    if not any((target / "bin").iterdir()):
        raise ContentError(
            f"image {', '.join(image.references)} in {archive} has no /bin: not a runtime image"
        )


def _extract_layer(stream: IO[bytes], layer: int, target: Path, owner: dict[Path, int]) -> None:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as tar:
        for member in tar:
            part, _, rest = member.name.lstrip("./").partition("/")
            path = target / part / Path(rest).name
            if part not in _PARTS or not member.isfile() or owner.get(path, -1) > layer:
                continue
            owner[path] = layer
            source = tar.extractfile(member)
            assert source is not None, "a regular file has content"
            with path.open("wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
            path.chmod(0o755 if part == "bin" else 0o644)


def _check_platform(archive: Path, config: dict[str, str]) -> None:
    wanted, found = oci_architecture(), config.get("architecture", "")
    if found != wanted:
        raise ContentError(
            f"the runtime image in {archive} is for {config.get('os', 'linux')}/{found}, this host is linux/{wanted}",
            f"use the archives named linux-{wanted}",
        )


def _point_bin_to(paths: Paths, content: RuntimeContent) -> None:
    if paths.bin.is_symlink() and paths.bin.readlink() == content.bin:
        return
    fresh = paths.bin.with_name(f".{paths.bin.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(content.bin)
    fresh.replace(paths.bin)


def _remove_scratch(data: Path) -> None:
    for leftover in data.glob(f"{_SCRATCH}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _used_by_shims(data: Path, tasks: Path) -> bool:
    try:
        return any(
            _read(task / "shim-binary-path").startswith(f"{data}{os.sep}") for task in _children(tasks)
        )
    except OSError:
        return True  # unreadable counts as used


def _children(directory: Path) -> Iterable[Path]:
    return directory.iterdir() if directory.is_dir() else ()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
