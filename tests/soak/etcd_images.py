"""An archive with etcd alone, of the programs of a release line."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

PROGRAMS = ("etcd", "etcdctl", "etcdutl")


def write_archive(target: Path, programs: Path, image: str) -> Path:
    """Write `image` with the etcd of the directory `programs` as docker saves it."""
    layer = _layer(programs)
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin"], "Entrypoint": ["/usr/local/bin/etcd"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    contents = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as tar:
        _add(tar, "manifest.json", json.dumps(contents).encode())
        _add(tar, "config.json", json.dumps(config).encode())
        _add(tar, "layer.tar", layer)
    return target


def _layer(programs: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in PROGRAMS:
            _add(tar, f"usr/local/bin/{name}", (programs / name).read_bytes())
    return made.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    tar.addfile(info, io.BytesIO(content))
