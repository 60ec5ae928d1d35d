"""What is wrong with the image archives, or with the room for them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rke2.lifecycle.progress import read_status
from tests.cluster import workload
from tests.cluster.bad_input.refusal import Place
from tests.cluster.eventually import eventually
from tests.cluster.labs import CONTENT
from tests.unit.content.archive_maker import image_members, layer, tarball, write_archive

RUNTIME_ARCHIVE = next(CONTENT.glob("rke2-images-runtime.*.tar.zst"), CONTENT)
RUNTIME = (
    yaml.safe_load((CONTENT / "10-images.yaml").read_text())["runtime-image"] if CONTENT.is_dir() else ""
)
CHECKSUM = "compare its checksum"


@pytest.fixture
def images(place: Place) -> Path:
    """The place's directory of archives, on the machine."""
    directory = place.outside(place.paths.images)
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def no_registry(place: Place) -> tuple[str, ...]:
    """Flags that have images come from a port that nobody listens on."""
    rules = place.data_dir.parent / "registries.yaml"
    place.node.host.write_file(rules, "mirrors: {'*': {endpoint: ['http://127.0.0.1:1']}}\n")
    return (f"--private-registry={rules}", "--disable-default-registry-endpoint")


def test_no_archive(place: Place, no_registry: tuple[str, ...]) -> None:
    place.refuses(
        RUNTIME,
        "is in none of the archives in",
        str(place.paths.images),
        "(no archives)",
        "cannot be pulled: registry http://127.0.0.1:1/v2 cannot be reached: Connect call failed",
        "hint: put ",
        flags=no_registry,
    )


def test_archives_without_the_runtime_image(place: Place, images: Path, no_registry: tuple[str, ...]) -> None:
    workload.write_archive(images / "workload.tar")
    place.refuses(RUNTIME, "is in none of the archives in", "(workload.tar)", flags=no_registry)


def test_another_version(place: Place, images: Path, no_registry: tuple[str, ...]) -> None:
    os.link(RUNTIME_ARCHIVE, images / RUNTIME_ARCHIVE.name)
    wanted = "docker.io/rke2py/rke2-runtime:v9.9.9"
    flags = (f"--runtime-image={wanted}", *no_registry)
    place.refuses(wanted, RUNTIME_ARCHIVE.name, "set runtime-image", flags=flags)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_truncated(place: Place, images: Path, share: float) -> None:
    archive = images / RUNTIME_ARCHIVE.name
    archive.write_bytes(RUNTIME_ARCHIVE.read_bytes())
    os.truncate(archive, int(archive.stat().st_size * share))
    place.refuses(archive.name, "truncated or corrupt", CHECKSUM)
    _nothing_unpacked(place)


def test_a_byte_changed(place: Place, images: Path) -> None:
    program = bytes(range(256)) * 400
    content = tarball(image_members(RUNTIME, [layer({"bin/kubelet": program})]))
    at = content.index(program) + 5000
    (images / "runtime.tar").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    place.refuses("blobs/sha256/", "has another content than its digest says", "copy it again")
    _nothing_unpacked(place)


def test_something_else_named_like_an_archive(place: Place, images: Path) -> None:
    (images / "runtime.tar.zst").write_bytes(b"<html>404</html>")
    place.refuses("runtime.tar.zst", "truncated or corrupt", CHECKSUM)


def test_another_architecture(place: Place, images: Path) -> None:
    foreign = "arm64" if os.uname().machine == "x86_64" else "amd64"
    write_archive(
        images / "runtime.tar.gz", image_members(RUNTIME, [layer({"bin/kubelet": b""})], architecture=foreign)
    )
    place.refuses("runtime.tar.gz", f"linux/{foreign}", "this host is linux/", "use the archives named")
    _nothing_unpacked(place)


def test_an_image_without_programs(place: Place, images: Path) -> None:
    write_archive(images / "runtime.tar.lz4", image_members(RUNTIME, [layer({"etc/passwd": b""})]))
    place.refuses("runtime.tar.lz4", "has no /bin")
    _nothing_unpacked(place)


def _nothing_unpacked(place: Place) -> None:
    data = place.outside(place.paths.data)
    assert not data.exists() or list(data.iterdir()) == []


@pytest.fixture
def small_disk(mount_point: Place) -> Iterator[Place]:
    """A data directory on a file system that the archives fit on, and the runtime image unpacked does not."""
    host, directory = mount_point.node.host, str(mount_point.data_dir)
    host.exec(
        [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={RUNTIME_ARCHIVE.stat().st_size + (50 << 20)}",
            "tmpfs",
            directory,
        ]
    )
    mount_point.outside(mount_point.paths.images).mkdir(parents=True)
    host.exec(
        ["cp", f"/var/lib/rancher/rke2/agent/images/{RUNTIME_ARCHIVE.name}", str(mount_point.paths.images)]
    )
    yield mount_point
    host.exec(["umount", directory], check=True)


def test_no_room_to_unpack_and_then_room(small_disk: Place) -> None:
    small_disk.refuses(
        f"no space left in {small_disk.paths.data}", RUNTIME_ARCHIVE.name, "hint: free about 1 GiB"
    )
    _nothing_unpacked(small_disk)

    small_disk.node.host.exec(["mount", "-o", "remount,size=1g", str(small_disk.data_dir)], check=True)
    command = small_disk.node.command("server", "--data-dir", str(small_disk.data_dir))
    with small_disk.node.popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: _content_done(small_disk), "the runtime image is unpacked")
            server.terminate()
            assert server.wait(30) == 0
        finally:
            server.kill()
    assert small_disk.outside(small_disk.paths.bin).readlink().is_relative_to(small_disk.paths.data)


def _content_done(place: Place) -> bool:
    status = read_status(place.outside(place.paths.status))
    return status is not None and any(
        phase.name == "content" and phase.state == "done" for phase in status.phases
    )
