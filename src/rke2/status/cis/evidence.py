"""What a node has on its disk, as the checks ask for it. Nothing is asked of the cluster, and nothing is written."""

from __future__ import annotations

import grp
import pwd
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from rke2.config.paths import Paths
from rke2.staticpods import writer


@dataclass(frozen=True)
class FileFact:
    """A file or directory that is there."""

    path: Path
    mode: int
    owner: str


class Evidence:
    """The node whose files are at `paths`."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._arguments: dict[str, Mapping[str, str] | None] = {}

    def arguments(self, pod: str) -> Mapping[str, str] | None:
        """Arguments of a static pod, the last of each name; None if this node has no such pod."""
        if pod not in self._arguments:
            self._arguments[pod] = _arguments(writer.read(self.paths, pod))
        return self._arguments[pod]

    @cached_property
    def kubelet(self) -> Mapping[str, Any] | None:
        """The kubelet's configuration, of all its files in their order; None if there is none."""
        merged: dict[str, Any] = {}
        for file in sorted(self.paths.kubelet_conf_dir.glob("*.conf")):
            merged = _merged(merged, _yaml(file))
        return merged or None

    @cached_property
    def etcd(self) -> Mapping[str, Any] | None:
        """etcd's configuration; None on a node without a member."""
        return (_yaml(self.paths.etcd / "config") or None) if self.arguments("etcd") is not None else None

    def files(self, patterns: Iterable[tuple[Path, str]]) -> list[FileFact]:
        """What is there of `patterns`: a directory and a glob in it; an empty glob is the directory itself."""
        found = (
            path for directory, glob in patterns for path in (directory.glob(glob) if glob else [directory])
        )
        return [_fact(path) for path in sorted(set(found)) if path.exists()]


def _fact(path: Path) -> FileFact:
    found = path.stat()
    return FileFact(path, stat.S_IMODE(found.st_mode), f"{_user(found.st_uid)}:{_group(found.st_gid)}")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _arguments(manifest: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    if manifest is None:
        return None
    words = [word for each in manifest["spec"]["containers"] for word in (each.get("args") or ())]
    pairs = [str(word).removeprefix("--").partition("=") for word in words if str(word).startswith("--")]
    return {name: value if equals else "true" for name, equals, value in pairs}


def _yaml(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], value)
        if isinstance(value, dict) and isinstance(below.get(key), dict)
        else value
        for key, value in above.items()
    }
    return {**below, **both}
