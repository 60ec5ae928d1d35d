"""The tests' own application image: a static busybox, and nothing else, so that pods have a shell and a web server."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

IMAGE = "docker.io/rke2test/workload:v1"
"""Present on every test host; never pulled."""

_APPLETS = (
    "sh",
    "httpd",
    "wget",
    "nslookup",
    "nc",
    "sleep",
    "cat",
    "echo",
    "ip",
    "ping",
    "ls",
    "env",
    "test",
    "touch",
    "timeout",
    "sha256sum",
    "base64",
)


def write_archive(path: Path) -> Path:
    """Write the image as an archive for ``agent/images``."""
    layer = _layer(Path(_busybox()).read_bytes())
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    config_blob = json.dumps(config).encode()
    members = {
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
        ).encode(),
        "config.json": config_blob,
        "layer.tar": layer,
    }
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            _add(tar, name, content)
    return path


def _busybox() -> str:
    program = shutil.which("busybox")
    assert program, "the cluster tests need Debian's busybox-static (make test installs it)"
    assert b"/ld-linux" not in Path(program).read_bytes()[:4096], (
        f"{program} is not static: install busybox-static"
    )
    return program


def _layer(busybox: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "bin/busybox", busybox, 0o755)
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "www/index.html", b"hello from the workload\n")
        for name in ("tmp", "etc"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(directory)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))
