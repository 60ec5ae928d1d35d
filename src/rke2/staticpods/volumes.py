"""What of the host a static pod sees: sockets, directories, files and the operator's extra mounts.

Everything is mounted at the path it has on the host. A file named in the arguments (``--x=/some/file``) is mounted
without being listed, and so are the certificates that ``--kubeconfig`` refers to (layout reference §3.1).
"""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rke2 import goyaml
from rke2.errors import ComponentError
from rke2.pki.renewed import Kept, counted
from rke2.staticpods.pod import StaticPod

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Volume:
    """One host path in the pod; `type` is a Kubernetes HostPathType."""

    name: str
    source: Path
    target: Path
    type: str
    read_only: bool = False


def mounted_files(pod: StaticPod) -> tuple[Path, ...]:
    """The pod's files: those it lists, then those its arguments name, sorted; none twice.

    Raises:
        ComponentError: a kubeconfig named in the arguments cannot be read.
    """
    # FILE_HASH is made in this order, which is RKE2's: another one would
    # restart all pods of a server from there.
    return tuple(dict.fromkeys((*pod.files, *sorted(_argument_files(pod)))))


def _argument_files(pod: StaticPod) -> set[Path]:
    files: set[Path] = set()
    for flag, path in _absolute_paths(pod.args):
        # Directories among them are written to (cert-dir): they are in a mount of `dirs`, not read-only here.
        if path not in pod.excluded_files and path.exists() and not path.is_dir():
            files.add(path)
            if flag == "--kubeconfig":
                files |= _kubeconfig_references(path)
    return files


def _absolute_paths(args: Iterable[str]) -> Iterator[tuple[str, Path]]:
    for arg in args:
        flag, _, value = arg.partition("=")
        if value.startswith("/"):
            yield flag, Path(value)


_REFERENCES = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key")),
}
"""Section of a kubeconfig -> the entry's inner map and its keys that name files."""


def _kubeconfig_references(kubeconfig: Path) -> set[Path]:
    try:
        document: dict[str, Any] = goyaml.load(kubeconfig.read_text()) or {}
        return {
            Path(entry[inner][key])
            for section, (inner, keys) in _REFERENCES.items()
            for entry in document.get(section) or ()
            for key in keys
            if entry[inner].get(key)
        }
    except (OSError, goyaml.Error, AttributeError, KeyError, TypeError) as error:
        raise ComponentError(
            f"kubeconfig {kubeconfig} cannot be read: {error}", "remove it; it is generated at the next start"
        ) from error


def file_hash(
    files: Iterable[Path],
    hashed_as: Mapping[Path, Callable[[bytes], bytes]] = MappingProxyType({}),
    renewed: Kept = MappingProxyType({}),
) -> str:
    """SHA-256 (hex) over the content of the files, one after the other.

    Args:
        hashed_as: of the pod.
        renewed: certificates that were renewed in place: a pod that has them mounted is no other pod for it.

    Raises:
        ComponentError: one of them cannot be read.
    """
    # Contents alone, without names or lengths: so RKE2 computes the same digest.
    digest = hashlib.sha256()
    for file in files:
        try:
            content = counted(renewed, file, file.read_bytes())
            digest.update(hashed_as[file](content) if file in hashed_as else content)
        except OSError as error:
            raise ComponentError(
                f"{file}, which a control-plane pod needs, cannot be read: {error.strerror}"
            ) from error
    return digest.hexdigest()


def volumes(pod: StaticPod, files: Iterable[Path]) -> tuple[Volume, ...]:
    """Every mount of the pod, in the order of the reference.

    Args:
        files: as `mounted_files` returned them.
    """
    existing = [path for path in pod.optional_dirs if path.is_dir()]
    dirs = dict.fromkeys((*existing, *pod.dirs))
    own = (
        *(Volume(f"socket{i}", path, path, "Socket") for i, path in enumerate(pod.sockets)),
        *(Volume(f"dir{i}", path, path, "DirectoryOrCreate") for i, path in enumerate(dirs)),
        *(Volume(f"file{i}", path, path, "File", read_only=True) for i, path in enumerate(files)),
    )
    return own + tuple(_extra_volumes(pod, {volume.target for volume in own}))


def _extra_volumes(pod: StaticPod, taken: set[Path]) -> Iterator[Volume]:
    for index, text in enumerate(pod.settings.extra_mounts):
        try:
            volume = parse_extra_mount(f"extra-mount-{index}", text)
        except ValueError as error:
            log.error("%s: extra mount %r is skipped: %s", pod.name, text, error)
            continue
        # The API accepts no two mounts at one place: the kubelet would refuse the whole pod.
        if volume.target in taken:
            log.error("%s: extra mount %r is skipped: %s is mounted already", pod.name, text, volume.target)
            continue
        taken.add(volume.target)
        yield volume


def parse_extra_mount(name: str, text: str) -> Volume:
    """``src:dst``, ``src:dst:ro|rw`` or ``src:dst:<ignored>:<HostPathType>`` (CLI reference §2.7).

    Raises:
        ValueError: another number of fields or another option.
    """
    fields = text.split(":")
    if not 2 <= len(fields) <= 4:
        raise ValueError("it is not source:destination[:ro|rw] or source:destination::HostPathType")
    source, target = Path(fields[0]), Path(fields[1])
    if len(fields) == 4:
        return Volume(name, source, target, fields[3] or detected_type(source))
    option = fields[2].lower() if len(fields) == 3 else "rw"
    if option not in ("ro", "rw"):
        raise ValueError(f"unknown option {option!r}, only ro and rw exist")
    return Volume(name, source, target, detected_type(source), read_only=option == "ro")


def detected_type(source: Path) -> str:
    """The HostPathType of what is at `source` now; what cannot be seen becomes a directory."""
    try:
        mode = source.stat().st_mode
    except OSError:
        return "DirectoryOrCreate"
    if stat.S_ISSOCK(mode):
        return "Socket"
    return "Directory" if stat.S_ISDIR(mode) else "File"
