"""Archives into a real containerd: every format, bad ones, and none a second time."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rke2.content.images.archives import SUFFIXES
from rke2.content.images.preload import Preload
from rke2.host.architecture import oci_architecture
from tests.containerd import Running, containerd
from tests.unit.content.archive_maker import layer, write_archive

pytestmark = [pytest.mark.content, pytest.mark.root]

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with containerd(tmp_path) as made:
        yield made


def path_of(blob: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"


def descriptor(kind: str, blob: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    return {"mediaType": kind, "digest": digest, "size": len(blob)}


def members(
    name: str,
    *layers: bytes,
    architecture: str | None = None,
    layout: str = "oci first",
    false_layer: bool = False,
) -> dict[str, bytes]:
    """An image that containerd can unpack; `layout` is ``oci first``, ``oci last`` or ``docker``.

    Args:
        false_layer: the configuration says another content of the layers.
    """
    config = json.dumps(
        {
            "architecture": architecture or oci_architecture(),
            "os": "linux",
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": [descriptor("", b"other" if false_layer else blob)["digest"] for blob in layers],
            },
        }
    ).encode()
    blobs = {path_of(blob): blob for blob in (config, *layers)}
    if layout == "docker":
        docker = [
            {"Config": path_of(config), "RepoTags": [name], "Layers": [path_of(blob) for blob in layers]}
        ]
        return {**blobs, "manifest.json": json.dumps(docker).encode()}
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, config),
            "layers": [descriptor(LAYER_TYPE, blob) for blob in layers],
        }
    ).encode()
    entry = {**descriptor(MANIFEST_TYPE, manifest), "annotations": {"io.containerd.image.name": name}}
    table = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
    }
    content = {path_of(manifest): manifest, **blobs}
    return {**table, **content} if layout == "oci first" else {**content, **table}


async def preload(running: Running, **options: object) -> None:
    await Preload(running.store, running.paths.images, **options).run()  # type: ignore[arg-type]


async def test_every_format_and_layout_is_imported_and_pinned(running: Running) -> None:
    names = []
    for suffix, layout in [
        *((suffix, "oci first") for suffix in SUFFIXES),
        (".tar.bz2", "oci last"),
        (".tgz", "docker"),
    ]:
        name = f"reg.example/{suffix.replace('.', '')}-{layout.replace(' ', '-')}:v1"
        content = members(name, layer({"etc/name": name.encode()}), layout=layout)
        write_archive(running.paths.images / f"{name.partition('/')[2][:-3]}{suffix}", content)
        names.append(name)
    await preload(running, extra_registries=["other.example:5000/ns"])
    assert {*names} <= {*await running.store.digests()}
    images = (await running.cri._json("images", "-o", "json"))["images"]
    tags = {tag: image["pinned"] for image in images for tag in image["repoTags"]}
    assert all(tags[name] for name in names)
    assert all(tags[name.replace("reg.example", "other.example:5000/ns")] for name in names)


GOOD = layer({"bin/a": b"a" * 100_000})
OTHER = layer({"bin/b": b"b" * 100_000})


async def test_an_unchanged_start_opens_no_archive(running: Running) -> None:
    for layout in ("oci first", "docker"):
        name = f"reg.example/{layout.replace(' ', '-')}:v1"
        write_archive(
            running.paths.images / f"{layout.replace(' ', '-')}.tar.zst", members(name, GOOD, layout=layout)
        )
    await preload(running)
    with accesses(running.paths.images) as first:
        await preload(running)
    assert [name for name in first if ".tar" in name] == []
    (running.paths.images / "docker.tar.zst").touch()
    with accesses(running.paths.images) as second:
        await preload(running)
    assert "docker.tar.zst" in second


FULL, REF = "io.containerd.image.name", "org.opencontainers.image.ref.name"
SAVED = {
    "podman": ({REF: "localhost/app:1"}, "localhost/app:1"),
    "podman, from Docker Hub": ({REF: "docker.io/library/app:2"}, "app:2"),
    "skopeo": ({REF: "app:3"}, "app:3"),
    "skopeo, no tag": ({REF: "reg.example/team/app"}, "reg.example/team/app"),
    "nerdctl, ctr": ({FULL: "docker.io/team/app:4", REF: "4"}, "team/app:4"),
    "buildx": ({FULL: "app:5", REF: "5"}, "docker.io/library/app:5"),
    "crane": ({REF: "index.docker.io/library/app:6"}, "app:6"),
}
"""Annotations that tools write, and the image of a pod."""


@pytest.mark.parametrize("layout", ["oci first", "oci last"])
async def test_a_pod_finds_what_tools_saved_and_a_second_start_imports_nothing(
    running: Running, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for number, (words, _) in enumerate(SAVED.values()):
        content = members("x", layer({"n": b"%d" % number}), layout=layout)
        index = json.loads(content["index.json"])
        index["manifests"][0]["annotations"] = words
        content["index.json"] = json.dumps(index).encode()
        write_archive(running.paths.images / f"{number}.tar", content)
    await preload(running)
    for tool, (_, image) in SAVED.items():
        found = await running.cri._json("inspecti", "-o", "json", image)
        assert found["status"]["pinned"], tool
    caplog.clear()
    await preload(running)
    assert caplog.messages == []


async def test_what_is_said_is_what_containerd_has(
    running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client removes what was just imported."""
    caplog.set_level("INFO")
    kept, lost = "reg.example/kept:v1", "reg.example/lost:v1"
    for name, blob in ((kept, GOOD), (lost, OTHER)):
        write_archive(running.paths.images / f"{name[12:16]}.tar", members(name, blob))
    digests, calls = running.store.digests, itertools.count()

    async def robbed(_: object) -> dict[str, str]:
        if next(calls):
            await running.store.remove([lost])
        return await digests()

    monkeypatch.setattr(type(running.store), "digests", robbed)
    images = Preload(running.store, running.paths.images)
    await images.run()
    await images.run()
    said = [line for line in caplog.messages if line.startswith("imported")]
    assert said == [
        f"imported {running.paths.images}/kept.tar: {kept}",
        f"imported {running.paths.images}/lost.tar: nothing",
    ]
    assert f"lost.tar: containerd took it, but holds no complete {lost}" in caplog.text


async def test_content_that_containerd_lost_is_imported_again(running: Running) -> None:
    name = "reg.example/lost:v1"
    write_archive(running.paths.images / "lost.tar", members(name, GOOD, OTHER))
    await preload(running)
    await running.store._run("content", "rm", str(descriptor("", GOOD)["digest"]))
    assert name not in await running.store.digests()
    await preload(running)
    assert name in await running.store.digests()


BAD = ("truncated", "lacking", "lying", "no tar", "foreign", "garbage", "escape")


LAYOUTS = ("oci first", "oci last", "docker")


async def test_bad_archives_leave_nothing_and_the_others_go_on(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [
        running.paths.images / f"{kind}-{layout}.tar".replace(" ", "-") for kind in BAD for layout in LAYOUTS
    ]
    for path, (kind, layout) in zip(paths, itertools.product(BAD, LAYOUTS), strict=True):
        _bad(path, kind, layout)
    write_archive(running.paths.images / "z-good.tar", members("reg.example/good:v1", layer({"good": b"1"})))
    await preload(running)
    assert await _registered(running) == ["reg.example/good:v1"]
    assert [path.name for path in paths if str(path) not in caplog.text] == []


def _bad(path: Path, kind: str, layout: str) -> None:
    own = layer({f"bin/{path.stem}": kind.encode() * 50_000})
    if kind == "no tar":  # containerd finds that when it unpacks it: the image is registered by then
        own = path.stem.encode() * 5000
    content = members(
        f"reg.example/{path.stem}:v1",
        own,
        architecture="riscv64" if kind == "foreign" else None,
        layout=layout,
    )
    if kind == "lacking":
        del content[path_of(own)]
    if kind == "lying":
        content[path_of(own)] = own.replace(b"lying", b"truth")
    if kind == "escape":
        content = {"../escape": b"x", **content}
    write_archive(path, content)
    if kind == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    if kind == "garbage":
        path.write_bytes(b"<html>404</html>" * 999)


async def _registered(running: Running) -> list[str]:
    """Everything containerd has a name for, complete or not."""
    names = (await running.store._run("images", "ls", "-q")).split()
    return [name for name in names if not name.startswith("sha256:")]  # the CRI's own


async def test_an_import_that_is_cancelled_can_be_made_again(running: Running) -> None:
    import asyncio

    name = "reg.example/large:v1"
    content = layer({"bin/large": os.urandom(64 << 20)})
    write_archive(running.paths.images / "large.tar", members(name, content))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await preload(running)
    assert await _registered(running) == []
    await preload(running)
    assert name in await running.store.digests()


IN_ACCESS, IN_OPEN = 0x1, 0x20


@contextmanager
def accesses(directory: Path) -> Iterator[list[str]]:
    """The names of the files that any process opens or reads in `directory` meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(fd, os.fsencode(directory), IN_ACCESS | IN_OPEN) >= 0
    found: list[str] = []
    yield found
    try:
        events = os.read(fd, 1 << 20)
    except BlockingIOError:
        events = b""
    os.close(fd)
    while events:
        length = int.from_bytes(events[12:16], "little")
        found.append(events[16 : 16 + length].rstrip(b"\0").decode())
        events = events[16 + length :]
