"""Some images of an OCI archive as an archive of their own, made while the large one is read.

The few images that a boot waits for stand at the front of an archive: they can be in containerd long before the
rest has been read.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from rke2.content.archives import CHUNK, blob_path, image_name, open_archive, read_member, verified

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def write_subset(archive: Path, references: Collection[str], sink: IO[bytes]) -> None:
    """Write the images `references` to `sink`; nothing is read beyond their last blob.

    An archive whose table of contents does not come first is no good for this: then nothing is written.

    Raises:
        ContentError: the archive is damaged.
        BrokenPipeError: the reader of `sink` has ended.
    """
    with open_archive(archive) as source, tarfile.open(fileobj=sink, mode="w|", bufsize=CHUNK) as target:
        wanted: set[str] = set()
        for member in source:
            name = member.name.removeprefix("./")
            if name == "index.json":
                index = _restricted(json.loads(read_member(source, member)), references)
                wanted = {blob_path(descriptor) for descriptor in index["manifests"]}
                _add(target, "oci-layout", _LAYOUT)
                _add(target, name, json.dumps(index).encode())
            elif name in wanted:
                wanted |= _copy(source, member, target)
                wanted.remove(name)
            elif not name.startswith("blobs/"):
                continue
            if not wanted:
                return


def _restricted(index: dict[str, Any], references: Collection[str]) -> dict[str, Any]:
    kept = [descriptor for descriptor in index["manifests"] if image_name(descriptor) in references]
    return {**index, "manifests": kept}


def _copy(source: tarfile.TarFile, member: tarfile.TarInfo, target: tarfile.TarFile) -> set[str]:
    """Copy one blob; if it is a manifest, the blobs it consists of are returned."""
    if member.size > CHUNK:
        with verified(source, member) as stream:
            target.addfile(member, stream)
        return set()
    content = read_member(source, member)
    _add(target, member.name, content)
    try:
        manifest = json.loads(content)
    except ValueError:
        return set()
    if not isinstance(manifest, dict) or "layers" not in manifest:
        return set()
    return {blob_path(descriptor) for descriptor in (manifest["config"], *manifest["layers"])}


def _add(target: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    target.addfile(info, io.BytesIO(content))
