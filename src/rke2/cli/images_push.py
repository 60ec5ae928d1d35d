"""rke2 images push: the images of airgap archives into a registry, for nodes that pull instead."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from rke2.cli import images_options
from rke2.cli.parser import Parser
from rke2.registry.source import Source


def run(argv: list[str]) -> int:
    """Run ``rke2 images push <argv>``.

    Raises:
        UsageError: the command line cannot be understood.
        ContentError: an archive or the registry cannot be used.
    """
    options = _parser().parse_args(argv)
    source = _source(options)
    asyncio.run(_push(source, options.archives))
    return 0


def _parser() -> Parser:
    parser = images_options.parser(
        "push",
        "Copies the images of archives into a registry, under their own names without the host: "
        "docker.io/rke2py/pause:3 becomes REGISTRY/rke2py/pause:3. Credentials and CA are those that "
        "registries.yaml or docker's configuration has for the registry.",
    )
    parser.add_argument(
        "registry", metavar="REGISTRY", help="host[:port] or URL; https unless it says http://"
    )
    parser.add_argument(
        "archives", nargs="+", type=Path, metavar="ARCHIVE", help="as `make content` builds them"
    )
    images_options.add_private_registry(parser)
    return parser


def _source(options: argparse.Namespace) -> Source:
    from rke2.content.images.pull import source_of_endpoint
    from rke2.content.registries.settings import load_registries

    return source_of_endpoint(load_registries(options.private_registry), options.registry)


async def _push(source: Source, archives: Sequence[Path]) -> None:
    from rke2.content.images.push import push_archive

    for archive in archives:
        await push_archive(archive, source, lambda reference: print(f"pushed {reference}", flush=True))
