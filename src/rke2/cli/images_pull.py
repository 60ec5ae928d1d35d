"""rke2 images pull: images from registries by the rules of registries.yaml, onto this node or into an archive."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rke2.cli import images_options
from rke2.cli.parser import Parser
from rke2.config.model import ImageSettings
from rke2.config.paths import Paths
from rke2.errors import ContentError, UsageError
from rke2.registry.meter import Bar, Meter
from rke2.registry.reference import ImageReference

if TYPE_CHECKING:
    from rke2.registry.pull import PulledImage


def run(argv: list[str]) -> int:
    """Run ``rke2 images pull <argv>``.

    Raises:
        UsageError: the command line cannot be understood.
        ContentError: an image cannot be had, or there is no place for it.
    """
    options = _parser().parse_args(argv)
    for text in options.references:
        ImageReference.parse(text)
    if options.output:
        _check_output(options.output)
    elif not Paths(options.data_dir).containerd_socket.exists():
        raise ContentError(
            "no containerd of rke2 runs on this host", "start rke2, or write an archive with --output FILE"
        )
    asyncio.run(_run(options))
    return 0


def _parser() -> Parser:
    parser = images_options.parser(
        "pull",
        "Fetches images as registries.yaml says and puts them into this node's containerd, where garbage "
        "collection keeps them, or into one archive for agent/images of other nodes.",
    )
    parser.add_argument("references", nargs="+", metavar="IMAGE", help="[host/]name[:tag][@digest]")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="an archive to write, .tar or .tar.zst"
    )
    images_options.add_data_dir(parser)
    images_options.add_private_registry(parser)
    parser.add_argument(
        "--disable-default-registry-endpoint",
        action="store_true",
        help="ask no registry itself that has mirrors",
    )
    return parser


def _check_output(output: Path) -> None:
    if not output.name.endswith((".tar", ".tar.zst")):
        raise UsageError(f"rke2 images pull: {output} ends neither in .tar nor in .tar.zst")
    if not output.parent.is_dir():
        raise UsageError(f"rke2 images pull: there is no directory {output.parent}")


async def _run(options: argparse.Namespace) -> None:
    directory = options.output.parent if options.output else Paths(options.data_dir).data
    settings = ImageSettings(
        private_registry=options.private_registry,
        disable_default_registry_endpoint=options.disable_default_registry_endpoint,
    )
    with tempfile.TemporaryDirectory(prefix=".rke2-pull-", dir=directory) as scratch:
        images = [await _pull(settings, text, Path(scratch)) for text in options.references]
        if options.output:
            await asyncio.to_thread(_write, images, options.output, Path(scratch))
        else:
            await _import(images, Paths(options.data_dir))


async def _pull(settings: ImageSettings, text: str, scratch: Path) -> PulledImage:
    from rke2.content.images.pull import pull_image

    bar = Bar(text)
    meter = Meter(bar.changed)
    image = await pull_image(
        settings, text, scratch, meter=meter, say=lambda reason: print(reason, flush=True)
    )
    bar.end(meter)
    return image


def _write(images: Sequence[PulledImage], output: Path, scratch: Path) -> None:
    """Write the archive beside its place, then move it there."""
    import zstandard

    from rke2.content.images import oci_archive

    part = scratch / "archive"
    with part.open("wb") as file:
        if output.name.endswith(".zst"):
            with zstandard.ZstdCompressor().stream_writer(file) as compressed:
                oci_archive.write(images, compressed)
        else:
            oci_archive.write(images, file)
    part.replace(output)
    print(f"{output}: {output.stat().st_size / 1e6:.0f} MB")


async def _import(images: Sequence[PulledImage], paths: Paths) -> None:
    from rke2.content.images import oci_archive
    from rke2.content.images.store import ImageStore

    store = ImageStore(paths.bin / "ctr", paths.containerd_socket)
    await store.import_stream(lambda sink: oci_archive.write(images, sink))
    for image in images:
        print(f"{image.reference}: {image.digest}")
