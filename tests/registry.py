"""A real registry server (Debian's docker-registry), and images made for it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard

from rke2.registry.connection import RegistryConnection, open_session
from rke2.registry.push import ACTIONS, Pusher
from rke2.registry.source import Source
from tests.isolation import Isolated

PORT = 5000
USER, PASSWORD = "puller", "correct-horse"
HTPASSWD = "puller:$2y$05$XZXtZoPiMao9fvEjbrPIhOc6w2YLkVYGcDfHnpjEkcRvOgmT94MPW\n"
"""The password, as `htpasswd -B` writes it."""


def program() -> str:
    """The server; skips the test without it."""
    found = shutil.which("docker-registry")
    if not found:
        pytest.skip("no docker-registry: `make test` installs it")
    return found


def configuration(directory: Path, **http: Any) -> dict[str, Any]:
    """A registry that keeps its data below `directory`; `http` is added to that section."""
    return {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f":{PORT}", **http},
    }


@contextmanager
def serving(network: Isolated, directory: Path, config: dict[str, Any]) -> Iterator[Path]:
    """Run the server inside `network`; yields its log."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yml").write_text(yaml.safe_dump(config))
    log = directory / "registry.log"
    with network.running(program(), "serve", directory / "config.yml", log=log) as process:
        _until_listening(network, process, log, config["http"]["addr"].rpartition(":")[2])
        yield log


def _until_listening(network: Isolated, process: subprocess.Popen[bytes], log: Path, port: str) -> None:
    command = f"while ! ss -Hltn sport = :{port} | grep -q .; do sleep 0.05; done"
    network.run("timeout", "20", "sh", "-c", command)
    assert process.poll() is None, log.read_text()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(content: bytes, media_type: str = "") -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


_LAYER = "application/vnd.oci.image.layer.v1.tar"


def _compression(layer: bytes) -> str:
    return {b"\x1f\x8b": "+gzip", b"\x28\xb5": "+zstd"}.get(layer[:2], "")


def _decompressed(layer: bytes) -> bytes:
    match _compression(layer):
        case "+gzip":
            return gzip.decompress(layer)
        case "+zstd":
            return zstandard.ZstdDecompressor().stream_reader(layer).read()
    return layer


def image(layers: list[bytes], architecture: str = "amd64") -> tuple[bytes, list[bytes]]:
    """The manifest of an image with these layer blobs, and all its blobs."""
    diffs = [digest(_decompressed(blob)) for blob in layers]
    rootfs = {"type": "layers", "diff_ids": diffs}
    config = json.dumps({"architecture": architecture, "os": "linux", "rootfs": rootfs}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(blob, _LAYER + _compression(blob)) for blob in layers],
    }
    return json.dumps(manifest).encode(), [config, *layers]


async def push(source: Source, repository: str, tag: str, manifest: bytes, blobs: list[bytes]) -> None:
    """Write an image to a registry."""
    async with open_session() as session:
        pusher = Pusher(RegistryConnection(session, source, ACTIONS))
        await _push(pusher, repository, manifest, blobs, tag)


async def push_index(
    source: Source, repository: str, tag: str, images: dict[str, tuple[bytes, list[bytes]]]
) -> None:
    """Write an image for several architectures."""
    entries = []
    async with open_session() as session:
        pusher = Pusher(RegistryConnection(session, source, ACTIONS))
        for architecture, (manifest, blobs) in images.items():
            await _push(pusher, repository, manifest, blobs, digest(manifest))
            platform = {"os": "linux", "architecture": architecture}
            entry = descriptor(manifest, "application/vnd.oci.image.manifest.v1+json")
            entries.append({**entry, "platform": platform})
        media_type = "application/vnd.oci.image.index.v1+json"
        index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()
        await pusher.manifest(repository, tag, index, media_type)


async def _push(pusher: Pusher, repository: str, manifest: bytes, blobs: list[bytes], target: str) -> None:
    for blob in blobs:
        if not await pusher.has(repository, digest(blob)):
            await pusher.blob(repository, digest(blob), len(blob), _one(blob))
    await pusher.manifest(repository, target, manifest)


async def _one(content: bytes) -> AsyncIterator[bytes]:
    await asyncio.sleep(0)
    yield content
