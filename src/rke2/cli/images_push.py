"""rke2 images push: the images of airgap archives into a registry, for nodes that pull instead."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rke2.errors import UsageError
from rke2.registry.source import Source


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", f"see `{self.prog} --help`")


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


def _parser() -> _Parser:
    parser = _Parser(
        prog="rke2 images push",
        allow_abbrev=False,
        description="Copies the images of archives into a registry, under their own names without the host: "
        "docker.io/rke2py/pause:3 becomes REGISTRY/rke2py/pause:3. Credentials and CA are those that "
        "registries.yaml or docker's configuration has for the registry.",
    )
    parser.add_argument(
        "registry", metavar="REGISTRY", help="host[:port] or URL; https unless it says http://"
    )
    parser.add_argument(
        "archives", nargs="+", type=Path, metavar="ARCHIVE", help="as `make content` builds them"
    )
    parser.add_argument(
        "--private-registry",
        type=Path,
        default=Path("/etc/rancher/rke2/registries.yaml"),
        metavar="FILE",
        help="registry configuration (default: %(default)s)",
    )
    return parser


def _source(options: argparse.Namespace) -> Source:
    from rke2.content import registries
    from rke2.content.pull import source_of_endpoint

    return source_of_endpoint(registries.load(options.private_registry), options.registry)


async def _push(source: Source, archives: Sequence[Path]) -> None:
    from rke2.content.push import push_archive

    for archive in archives:
        await push_archive(archive, source, lambda reference: print(f"pushed {reference}", flush=True))
