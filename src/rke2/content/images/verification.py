"""Whether archives hold what they say: digests, layers, checksum files, bills of materials, programs.

One pass over each archive. What is found wrong is collected, not raised: an operator wants all of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote

from rke2.content.images import gobinary
from rke2.content.images.archives import (
    CHUNK,
    CORRUPT_REMEDY,
    SMALL,
    HashingReader,
    MemberError,
    check_platform,
    decompress_layer,
    errors_named,
    member_name,
    open_archive,
    verified,
)
from rke2.content.images.tables import ArchivedImage, images_of, nameless
from rke2.errors import ContentError

EXEMPT_FROM_FIPS = {
    "nginx-ingress-controller": "ingress-nginx is exempt: its TLS is that of nginx and Debian's OpenSSL",
}
"""Last component of an image's name -> why its programs are no part of the FIPS promise."""

_PROGRAM_LIMIT = 1 << 30
_MODULE_PURL = "pkg:golang/"
_NO_CONTENT = ("repositories", "oci-layout")
"""Small members besides JSON and layers, in old archives."""


@dataclass(frozen=True)
class Program:
    """A Go program in a layer.

    Attributes:
        why_not_fips: empty if it is proven to be.
    """

    path: str
    version: str
    modules: Mapping[str, str]
    why_not_fips: str


@dataclass(frozen=True)
class ArchiveReport:
    """What was found of one archive.

    Attributes:
        images: the references in it.
        programs: the Go programs of each image; only if programs were looked at.
        problems: everything that is wrong.
        exempt: programs that are not FIPS and need not be, and why.
    """

    archive: Path
    images: tuple[str, ...] = ()
    programs: Mapping[str, tuple[Program, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()


def verify_archive(
    archive: Path, *, sums: Mapping[str, str], boms: Mapping[str, BillOfMaterials], programs: bool
) -> ArchiveReport:
    """Read all of `archive`.

    Args:
        sums: sha256 by file name; an archive without an entry is not compared.
        boms: bills of materials by image; an image without one is not compared.
        programs: also look at each program.
    """
    problems: list[str] = []
    if (expected := sums.get(archive.name)) and _sha256_of(archive) != expected:
        problems.append(f"{archive.name} is not the file that its checksum file lists")
    try:
        content = _read(archive, programs)
        with errors_named(archive):
            images = images_of(content.small)
    except ContentError as error:
        return ArchiveReport(archive, problems=(*problems, str(error)))
    found: dict[str, tuple[Program, ...]] = {}
    exempt: list[str] = []
    for image in images:
        name = next(iter(image.references), image.config)
        problems += (f"{problem}: no pod finds it" for problem in nameless([image]))
        problems += (f"{name}: {problem}" for problem in content.problems_of(image, name))
        found[name] = tuple(
            program for layer in image.layers for program in content.layers.get(layer, _NO_LAYER).programs
        )
        problems += (f"{name}: {problem}" for problem in _against(boms.get(name), image, found[name]))
        reason = EXEMPT_FROM_FIPS.get(name.rpartition("/")[2].partition(":")[0])
        for program in found[name]:
            if program.why_not_fips:
                line = f"{name}: {program.path}: not FIPS: {program.why_not_fips}"
                exempt.append(f"{line} ({reason})") if reason else problems.append(line)
    return ArchiveReport(archive, tuple(found), found if programs else {}, tuple(problems), tuple(exempt))


# --- what is in an archive -----------------------------------------------------------------------------
@dataclass(frozen=True)
class _Layer:
    diff_id: str
    programs: tuple[Program, ...] = ()


_NO_LAYER = _Layer("")


@dataclass(frozen=True)
class _Content:
    small: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, _Layer] = field(default_factory=dict)

    def problems_of(self, image: ArchivedImage, name: str) -> Iterator[str]:
        lacking = {image.config, *image.layers} - {*self.layers, *self.small}
        if lacking:
            yield f"the archive lacks {', '.join(sorted(lacking))}"
            return
        try:
            config = json.loads(self.small[image.config])
            expected = config["rootfs"]["diff_ids"]
            check_platform(config, name)
        except (ValueError, KeyError, TypeError, AttributeError):
            yield "its configuration is malformed"
        except MemberError as error:
            yield error.reason
        else:
            if [self.layers.get(layer, _NO_LAYER).diff_id for layer in image.layers] != expected:
                yield "a layer has another content than the image's configuration says"


def _read(archive: Path, programs: bool) -> _Content:
    content = _Content()
    with open_archive(archive) as tar:
        for member in tar:
            if not member.isfile():
                continue
            name = member_name(member)
            with verified(tar, member) as stream:
                start = stream.read(SMALL) if member.size <= SMALL else b""
                if start[:1] in (b"{", b"["):
                    content.small[name] = start
                elif name not in _NO_CONTENT:
                    content.layers[name] = _layer(io.BytesIO(start) if start else stream, programs)
    return content


def _layer(stream: IO[bytes], programs: bool) -> _Layer:
    plain = HashingReader(decompress_layer(stream))
    found = tuple(_programs(plain)) if programs else ()
    while plain.read(CHUNK):
        pass
    return _Layer(f"sha256:{plain.sha256.hexdigest()}", found)


def _programs(layer: HashingReader) -> Iterator[Program]:
    with tarfile.open(fileobj=cast(IO[bytes], layer), mode="r|", bufsize=CHUNK) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() and member.size <= _PROGRAM_LIMIT else None
            start = file.read(4) if file else b""
            if file and gobinary.is_elf(start) and gobinary.is_go(data := start + file.read()):
                info = gobinary.read(data)
                yield Program(
                    f"/{member_name(member)}",
                    info.version if info else "",
                    info.modules if info else {},
                    gobinary.why_not_fips(data),
                )


# --- what lies beside an archive -----------------------------------------------------------------------
@dataclass(frozen=True)
class BillOfMaterials:
    """What an SPDX document says of an image: its digest, and the Go modules in it with their versions."""

    digest: str
    modules: frozenset[tuple[str, str]]


def checksums(directory: Path) -> dict[str, str]:
    """sha256 by file name, from all ``sha256sum-*.txt`` in `directory`."""
    lines = (
        line.split() for file in directory.glob("sha256sum-*.txt") for line in file.read_text().splitlines()
    )
    return {fields[1].lstrip("*"): fields[0].lower() for fields in lines if len(fields) == 2}


def bills_of_materials(directory: Path) -> dict[str, BillOfMaterials]:
    """The bills of materials by image, from all ``*.spdx.json`` in `directory`.

    Raises:
        ContentError: a file is not a valid one.
    """
    return dict(map(_bill, sorted(directory.glob("*.spdx.json"))))


def _bill(path: Path) -> tuple[str, BillOfMaterials]:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        digest, modules = "", set()
        for package in document["packages"]:
            for reference in package.get("externalRefs", ()):
                locator = str(reference["referenceLocator"])
                if locator.startswith(_MODULE_PURL):
                    name, _, version = locator.removeprefix(_MODULE_PURL).rpartition("@")
                    modules.add((name, unquote(version)))
            if package.get("primaryPackagePurpose") == "CONTAINER":
                digest = f"sha256:{package['checksums'][0]['checksumValue']}"
        return str(document["name"]), BillOfMaterials(digest, frozenset(modules))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ContentError(
            f"{path} is no bill of materials of an image: {error!r}", CORRUPT_REMEDY
        ) from error


def _against(
    bill: BillOfMaterials | None, image: ArchivedImage, programs: Iterable[Program]
) -> Iterator[str]:
    if bill is None:
        return
    if image.digest and bill.digest != image.digest:
        yield f"its bill of materials is that of {bill.digest}, it is {image.digest}"
    for program in programs:
        missing = {f"{name} {version}" for name, version in {*program.modules.items()} - bill.modules}
        if missing:
            yield f"{program.path} has modules that the bill of materials lacks: {', '.join(sorted(missing))}"


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
