"""A release: the one that runs here, or the one in a directory of airgap archives."""

from __future__ import annotations

import base64
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config.paths import Paths
from rke2.content.images.archives import is_archive
from rke2.content.images.required import charts_in
from rke2.content.runtime.image import archives_in, find_image
from rke2.errors import ContentError, UsageError
from rke2.release_version import ReleaseVersion
from rke2.releases import VERSIONS

_LISTS = "rke2-images-*.linux-*.txt"
_RUNTIME = "rke2-runtime"
_CHART_LIMIT = 16 << 20


@dataclass(frozen=True)
class PackagedChart:
    """A packaged chart: its version, and the values it has when nobody sets any."""

    version: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReleaseContent:
    """What it is made of.

    Args:
        images: repository without registry and namespace, such as ``hardened-etcd`` -> tag.
        charts: of the runtime image, by name; None if they are not known.
        archives: bytes of the image archives, compressed; 0 if they are not at hand.
        place: the directory it was read from; empty if only its version is known.
    """

    version: ReleaseVersion
    images: Mapping[str, str] = field(default_factory=dict)
    charts: Mapping[str, PackagedChart] | None = None
    archives: int = 0
    place: str = ""

    @property
    def etcd(self) -> ReleaseVersion | None:
        """The version of its etcd; None if it is not known."""
        return ReleaseVersion.parse(self.images.get("hardened-etcd", ""))


def target(text: str) -> ReleaseContent:
    """The release that ``--to`` names: a directory, or a version.

    Raises:
        UsageError: it is neither.
        ContentError: the directory lacks what tells the release.
    """
    if text and Path(text).is_dir():
        return of_directory(Path(text))
    if version := VERSIONS.get(text):
        text = version
    if (found := ReleaseVersion.parse(text)) and found.major == 1:
        return ReleaseContent(found)
    raise UsageError(
        f"--to {text}: neither a directory nor a version such as v1.37.2",
        "name the directory with the release's rke2-images-*.tar.zst and .txt files",
    )


def of_directory(directory: Path) -> ReleaseContent:
    """The release whose archives are in `directory`, with its lists of images beside them.

    Raises:
        ContentError: there is no list, none names a runtime image, or the archive with it cannot be read.
    """
    references = [
        line.strip() for path in sorted(directory.glob(_LISTS)) for line in path.read_text().splitlines()
    ]
    images = tags(references)
    version = ReleaseVersion.parse(images.get(_RUNTIME, ""))
    if version is None:
        raise ContentError(
            f"{directory} is not a release: no {_LISTS} there names an image {_RUNTIME} with a version",
            "name the directory that the release's archives and lists of images were copied to",
        )
    reference = next(each for each in references if f"/{_RUNTIME}:" in each)
    return ReleaseContent(
        version,
        images,
        _charts_of(directory, reference),
        sum(path.stat().st_size for path in directory.iterdir() if is_archive(path)),
        str(directory),
    )


def _charts_of(directory: Path, reference: str) -> Mapping[str, PackagedChart]:
    found = find_image(directory, reference)
    if found is None:
        names = ", ".join(path.name for path in archives_in(directory)) or "no archives"
        raise ContentError(
            f"the runtime image {reference} is in none of the archives in {directory} ({names})",
            "put rke2-images-runtime.linux-<arch>.tar.zst there: the charts are in it",
        )
    archive, image = found
    return charts(charts_in(archive, image.layers).values())


def running(paths: Paths, version: ReleaseVersion, images: Mapping[str, str]) -> ReleaseContent:
    """The release of this node, with the packaged charts that are applied here."""
    packaged = paths.bin.resolve().parent / "charts"
    applied = [path for path in sorted(packaged.glob("*.yaml")) if (paths.manifests / path.name).exists()]
    return ReleaseContent(version, images, charts(path.read_text() for path in applied))


def tags(references: Iterable[str]) -> dict[str, str]:
    """Repository without registry and namespace -> tag, of references that have one."""
    found: dict[str, str] = {}
    for reference in references:
        repository, colon, tag = reference.partition("@")[0].rpartition("/")[2].partition(":")
        if colon:
            found[repository] = tag
    return found


def charts(manifests: Iterable[str]) -> dict[str, PackagedChart]:
    """The HelmCharts in manifests that carry their chart with them, by name."""
    found: dict[str, PackagedChart] = {}
    for manifest in manifests:
        for document in goyaml.load_all(manifest):
            if isinstance(document, dict) and (content := (document.get("spec") or {}).get("chartContent")):
                found[document["metadata"]["name"]] = _chart(base64.b64decode(content))
    return found


def _chart(content: bytes) -> PackagedChart:
    files: dict[str, dict[str, Any]] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for member in tar:
            name = re.fullmatch(r"[^/]+/(Chart|values)\.yaml", member.name.removeprefix("./"))
            file = tar.extractfile(member) if name and member.size < _CHART_LIMIT else None
            if name and file:
                text = goyaml.load(file.read().decode())
                files[name[1]] = text if isinstance(text, dict) else {}
    return PackagedChart(str(files.get("Chart", {}).get("version", "")), files.get("values", {}))
