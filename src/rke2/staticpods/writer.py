"""Manifests in ``<data dir>/agent/pod-manifests``, which the kubelet watches.

A manifest is written beside that directory and renamed into it: the kubelet sees the old one or the new one, never half
of one or both. One that is right already is not touched, so that a warm restart restarts no pod.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rke2 import goyaml
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.config.profiles import profile_of
from rke2.host.files import ensure_dir
from rke2.pki.renewed import Kept, kept_of
from rke2.staticpods import volumes
from rke2.staticpods.manifest import build
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.unchanged import unchanged

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PodManifest:
    """A pod as the kubelet is to see it.

    Args:
        uid: the pod's.
        in_place: whether the file says so already, in these words or others.
    """

    path: Path
    uid: str
    content: bytes
    in_place: bool


@dataclass(frozen=True)
class Written:
    """A manifest in its place."""

    path: Path
    uid: str
    changed: bool


def manifest_mode(config: NodeConfig) -> int:
    """Permission bits of manifests: a hardening profile closes them to other users."""
    return 0o600 if profile_of(config.profile).closed_manifests else 0o644


def render(
    pod: StaticPod, path: Path, environ: Mapping[str, str], renewed: Kept = MappingProxyType({})
) -> dict[str, Any]:
    """The Pod object for `pod` on this host, with what is mounted as it is now.

    Where the manifest at `path` says the same in another way, that one: its pod runs on.

    Args:
        renewed: certificates that were renewed in place.

    Raises:
        ComponentError: a file that is to be mounted cannot be read.
    """
    files = volumes.mounted_files(pod)
    digest = volumes.file_hash(files, pod.hashed_as, renewed)
    wanted = build(pod, volumes.volumes(pod, files), digest, environ, path)
    present = _load(path)
    return present if present and unchanged(present, wanted, pod.implied) else wanted


def manifest(pod: StaticPod, paths: Paths, environ: Mapping[str, str] = os.environ) -> PodManifest:
    """What `write` would put into place now.

    Raises:
        ComponentError: a file that is to be mounted cannot be read.
    """
    path = paths.pod_manifest(pod.name)
    # `environ` is the live environment of this process: NO_PROXY as `except_cluster` has extended it, too.
    document = render(pod, path, environ, kept_of(paths))
    content = goyaml.dump(document, width=1000).encode()
    return PodManifest(path, document["metadata"]["uid"], content, document == _load(path))


def write(
    pod: StaticPod, paths: Paths, *, mode: int = 0o644, environ: Mapping[str, str] = os.environ
) -> Written:
    """Put the pod's manifest into place.

    Args:
        mode: as `manifest_mode` says.

    Raises:
        ComponentError: a file that is to be mounted cannot be read.
        OSError: the directory is not writable or full; the old manifest stays then.
    """
    return put(manifest(pod, paths, environ), paths, mode=mode)


def put(planned: PodManifest, paths: Paths, *, mode: int = 0o644) -> Written:
    """Put a manifest into place that `manifest` has planned.

    Raises:
        OSError: as of `write`.
    """
    changed = _replace(planned, mode, paths.agent)
    state = f"wrote {planned.path}" if changed else f"{planned.path} is up to date"
    log.info("static pod %s: %s", planned.path.stem, state)
    return Written(planned.path, planned.uid, changed)


def _replace(manifest: PodManifest, mode: int, directory: Path) -> bool:
    path = manifest.path
    ensure_dir(path.parent, 0o700)
    if path.is_file() and path.read_bytes() == manifest.content:
        path.chmod(mode)
        return False
    # One fixed name: only the process that holds the data directory writes, and a crash leaves at most this file.
    # Not in pod-manifests, which holds nothing else, but on its file system: only so is `replace` atomic.
    temporary = directory / f".{path.name}.new"
    temporary.touch(mode)
    # touch() goes by the umask, and changes nothing of a file that a crash has left.
    temporary.chmod(mode)
    temporary.write_bytes(manifest.content)
    temporary.replace(path)
    return True


def remove(paths: Paths, name: str) -> bool:
    """Take the component's manifest away; True if there was one."""
    path = paths.pod_manifest(name)
    existed = path.exists()
    path.unlink(missing_ok=True)
    if existed:
        log.info("static pod %s: removed %s", name, path)
    return existed


def read(paths: Paths, name: str) -> dict[str, Any] | None:
    """The component's manifest as it is on disk; None if there is none or it is not a YAML map."""
    return _load(paths.pod_manifest(name))


def _load(path: Path) -> dict[str, Any] | None:
    try:
        document = goyaml.load(path.read_text())
    except FileNotFoundError:
        return None
    except (goyaml.Error, UnicodeDecodeError) as error:
        log.warning("static pod %s: %s is not valid YAML: %s", path.stem, path, error)
        return None
    return document if isinstance(document, dict) else None


def manifest_uid(paths: Paths, name: str) -> str | None:
    """The uid of the pod that the component's manifest describes; None without a manifest."""
    document = read(paths, name) or {}
    uid = document.get("metadata", {}).get("uid")
    return str(uid) if uid else None
