"""The runtime image: the node's binaries and packaged charts, unpacked to ``<dd>/data/<key>/``.

Atomic: everything is unpacked beside its place and renamed into it, so a kill at any moment leaves either
nothing or all of it; what a killed process left behind is removed by the next one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rke2.config.paths import Paths
from rke2.content.images.archives import (
    CHUNK,
    MemberError,
    check_platform,
    decompress_layer,
    is_archive,
    no_space,
    open_archive,
    read_member,
    verified,
)
from rke2.content.images.names import normalize
from rke2.content.images.tables import ArchivedImage, list_images
from rke2.errors import ContentError
from rke2.host.files import ensure_dir, write_atomic
from rke2.registry.pull import PulledImage

log = logging.getLogger(__name__)

_MARKER = ".extracted"
_SCRATCH = ".extracting-"
_PULLED = ".pulled"
_PARTS = ("bin", "charts")
_AUX = PurePosixPath("bin/aux")
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
    def aux(self) -> Path:
        """Programs for hosts that lack them; an image of RKE2's has none."""
        return self.bin / "aux"

    @property
    def charts(self) -> Path:
        return self.root / "charts"


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


def has_runtime(paths: Paths, reference: str, archived: str = "") -> bool:
    """Whether the runtime image is on this host, unpacked or in an archive; else it has to be pulled.

    Args:
        archived: its name in archives, if that is another one.

    Raises:
        ContentError: as `find_image`.
    """
    content = RuntimeContent.of(paths, reference)
    return _complete(content) or _archive_of(paths, reference, archived) is not None


def _archive_of(paths: Paths, reference: str, archived: str) -> tuple[Path, ArchivedImage] | None:
    names = dict.fromkeys((archived or reference, reference))
    return next((found for name in names if (found := find_image(paths.images, name))), None)


def pull_directory(paths: Paths) -> Path:
    """Where the blobs of a runtime image that is pulled wait to be unpacked; kept if pulling is interrupted."""
    return paths.data / _PULLED


def ensure_runtime(
    paths: Paths,
    reference: str,
    pulled: PulledImage | None = None,
    *,
    archived: str = "",
    given_up: Callable[[], bool] = lambda: False,
) -> RuntimeContent:
    """Have the runtime image unpacked and ``<dd>/bin`` point to it.

    Looks for it in this order: already unpacked, an archive in ``agent/images``, what was pulled.

    Args:
        archived: as of `has_runtime`.
        given_up: asked between two layers, from the calling thread; unpacking ends once it is true.

    Raises:
        ContentError: it is nowhere, damaged, of another architecture, or the disk is full.
    """
    content = RuntimeContent.of(paths, reference)
    _remove_scratch(paths.data)
    if not _complete(content):
        found = _archive_of(paths, reference, archived)
        if found:
            archive, image = found
            log.info("unpacking the runtime image %s from %s", reference, archive)
            _unpack(archive.name, content, lambda to: _extract_parts(archive, image, to, given_up))
        elif pulled:
            log.info("unpacking the runtime image %s", reference)
            _unpack(reference, content, lambda to: _extract_pulled(pulled, to, given_up))
        else:
            raise missing_runtime(paths, reference)
    shutil.rmtree(pull_directory(paths), ignore_errors=True)
    _point_bin_to(paths, content)
    remove_old_data(paths, content.root.name)
    return content


def missing_runtime(paths: Paths, reference: str, reason: ContentError | None = None) -> ContentError:
    """That `reference` is in no archive.

    Args:
        reason: why no registry gave it either.
    """
    found = ", ".join(path.name for path in archives_in(paths.images)) or "no archives"
    message = f"runtime image {reference} is in none of the archives in {paths.images} ({found})"
    remedy = "put rke2-images-runtime.linux-<arch>.tar.zst there, or set runtime-image to the one that is"
    if reason is None:
        return ContentError(message, remedy)
    return ContentError(
        f"{message} and cannot be pulled: {reason.message}",
        f"{remedy}; to pull it: {reason.remedy}" if reason.remedy else remedy,
    )


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
    """Remove unpacked images of other versions that no container's shim was started from (lifecycle reference §5)."""
    for old in paths.data.glob("v[0-9]*"):
        if old.name != current and not _used_by_shims(old, paths.containerd_tasks):
            log.info("removing the content of an old version: %s", old)
            shutil.rmtree(old, ignore_errors=True)


def _complete(content: RuntimeContent) -> bool:
    return content.bin.is_dir() and content.charts.is_dir() and (content.root / _MARKER).is_file()


def _unpack(name: str, content: RuntimeContent, extract: Callable[[Path], None]) -> None:
    """Have `extract` fill a directory beside the place, then move it there; `name` is for messages."""
    scratch = ensure_dir(content.root.parent) / f"{_SCRATCH}{content.root.name}"
    try:
        for part in _PARTS:
            (scratch / part).mkdir(parents=True)
        extract(scratch)
        (scratch / "bin").chmod(0o755)
        write_atomic(scratch / _MARKER, content.reference, 0o644)
        shutil.rmtree(content.root, ignore_errors=True)
        scratch.rename(content.root)
    except OSError as error:
        if no_space(error):
            raise ContentError(
                f"no space left in {content.root.parent} while unpacking {name}",
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
                check_platform(
                    json.loads(read_member(tar, member)), next(iter(image.references), "the image")
                )
            elif name in image.layers:
                if given_up():
                    raise _interrupted(archive)
                with verified(tar, member) as blob:
                    _extract_layer(decompress_layer(blob), image.layers.index(name), target, owner)
            else:
                continue
            seen.add(name)
    if missing := {image.config, *image.layers} - seen:
        raise ContentError(f"image archive {archive} lacks {', '.join(sorted(missing))}", "copy it again")
    _check_bin(target, f"image {', '.join(image.references)} in {archive}")


def _interrupted(what: object) -> ContentError:
    return ContentError(f"unpacking {what} was interrupted", "start rke2 again")


def _check_bin(target: Path, what: str) -> None:
    if not any((target / "bin").iterdir()):
        raise ContentError(f"{what} has no /bin: not a runtime image")


def _extract_pulled(image: PulledImage, target: Path, given_up: Callable[[], bool]) -> None:
    """Unpack ``/bin`` and ``/charts`` of all layers, which were verified when they were pulled."""
    import zstandard

    owner: dict[Path, int] = {}
    try:
        check_platform(json.loads(image.config.read_bytes()), "what the registry has")
        for number, layer in enumerate(image.layers):
            if given_up():
                raise _interrupted(image.reference)
            with layer.open("rb") as blob:
                _extract_layer(decompress_layer(blob), number, target, owner)
    except MemberError as error:
        raise ContentError(f"runtime image {image.reference}: {error.reason}", error.remedy) from error
    except (ValueError, AttributeError, tarfile.TarError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise ContentError(
            f"runtime image {image.reference} cannot be unpacked: {error}",
            "its layers are to be tar files, plain or compressed with gzip or zstd",
        ) from error
    _check_bin(target, f"image {image.reference}")


def _extract_layer(stream: IO[bytes], layer: int, target: Path, owner: dict[Path, int]) -> None:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as tar:
        for member in tar:
            path = _place(member, target)
            if path is None or owner.get(path, -1) > layer:
                continue
            _require_room(member, target)
            owner[path] = layer
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if member.issym():
                path.symlink_to(member.linkname)
            else:
                _write(tar.extractfile(member), path)
                path.chmod(0o644 if path.is_relative_to(target / "charts") else 0o755)


def _write(source: IO[bytes] | None, path: Path) -> None:
    assert source is not None, "a regular file has content"
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)


def _place(member: tarfile.TarInfo, target: Path) -> Path | None:
    """Where a member goes: below ``bin/aux`` it keeps its path, elsewhere only its name; None: it is not taken."""
    name = PurePosixPath(member.name.lstrip("./"))
    if ".." in name.parts:
        return None
    if name.is_relative_to(_AUX):
        return target / name if member.isfile() or _stays_beside(member) else None
    taken = member.isfile() and name.parts[:1] and name.parts[0] in _PARTS
    return target / name.parts[0] / name.name if taken else None


def _stays_beside(member: tarfile.TarInfo) -> bool:
    """Whether it is a link to a file in its own directory. Nothing may be written through a link to elsewhere."""
    return member.issym() and "/" not in member.linkname and member.linkname not in ("", ".", "..")


def _require_room(member: tarfile.TarInfo, target: Path) -> None:
    """Find out before the disk is full: it may be others' too.

    Raises:
        OSError: ENOSPC.
    """
    if member.size > shutil.disk_usage(target).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
        programs = (_read(task / "shim-binary-path").strip() for task in _children(tasks))
        return any(Path(program).resolve().is_relative_to(data.resolve()) for program in programs if program)
    except OSError:
        return True  # unreadable counts as used


def _children(directory: Path) -> Iterable[Path]:
    return directory.iterdir() if directory.is_dir() else ()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
