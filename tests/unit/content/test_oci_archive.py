"""What `rke2 images pull -o` writes is what archives are read as, and what `rke2 images push` takes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.content.images import oci_archive
from rke2.content.images.tables import list_images
from rke2.content.runtime.image import ensure_runtime
from rke2.host.architecture import oci_architecture
from rke2.registry.pull import PulledImage
from rke2.registry.reference import ImageReference
from tests.registry import digest, image

from .archive_maker import layer

REFERENCE = "docker.io/rke2py/rke2-runtime:v1.2.3"


@pytest.fixture
def pulled(tmp_path: Path) -> PulledImage:
    manifest, blobs = image([layer({"bin/kubelet": b"elf"})], oci_architecture())
    files = []
    for blob in blobs:
        files.append(tmp_path / digest(blob).replace(":", "-"))
        files[-1].write_bytes(blob)
    return PulledImage(ImageReference.parse(REFERENCE), manifest, files[0], tuple(files[1:]))


def test_an_archive_of_a_pulled_image_is_read_like_any_other(tmp_path: Path, pulled: PulledImage) -> None:
    paths = Paths(data_dir=tmp_path / "rke2", run_dir=tmp_path / "run")
    paths.images.mkdir(parents=True)
    with (paths.images / "runtime.tar").open("wb") as file:
        oci_archive.write([pulled], file)
    (found,) = list_images(paths.images / "runtime.tar")
    assert found.references == (REFERENCE,)
    content = ensure_runtime(paths, REFERENCE)
    assert (content.bin / "kubelet").read_bytes() == b"elf"


def test_blobs_of_several_images_are_there_once(pulled: PulledImage) -> None:
    def size(images: list[PulledImage]) -> int:
        sink = io.BytesIO()
        oci_archive.write(images, sink)
        return len(sink.getvalue())

    other = PulledImage(ImageReference.parse("a/b:v1"), pulled.manifest, pulled.config, pulled.layers)
    assert size([pulled, other]) == size([pulled])


def test_the_runtime_image_that_was_pulled_is_unpacked_and_its_blobs_go(
    tmp_path: Path, pulled: PulledImage
) -> None:
    paths = Paths(data_dir=tmp_path / "rke2", run_dir=tmp_path / "run")
    (paths.data / ".pulled").mkdir(parents=True)
    content = ensure_runtime(paths, REFERENCE, pulled)
    assert (content.bin / "kubelet").read_bytes() == b"elf"
    assert sorted(path.name for path in paths.data.iterdir()) == [content.root.name]
