"""What the sub-verbs of ``rke2 images`` have in common on the command line."""

from __future__ import annotations

from pathlib import Path

from rke2.cli.parser import Parser
from rke2.config.model import ImageSettings
from rke2.config.paths import DEFAULT_DATA_DIR


def parser(verb: str, description: str, *, epilog: str = "") -> Parser:
    """The parser of ``rke2 images <verb>``.

    Args:
        description: sentences for ``--help``.
        epilog: what stands below the options there.
    """
    return Parser(
        prog=f"rke2 images {verb}", allow_abbrev=False, description=description, epilog=epilog or None
    )


def add_data_dir(parser: Parser) -> None:
    """``--data-dir``, as `data_dir`."""
    parser.add_argument(
        "-d", "--data-dir", type=Path, default=DEFAULT_DATA_DIR, metavar="DIR", help="of the node"
    )


def add_private_registry(parser: Parser) -> None:
    """``--private-registry``, as `private_registry`."""
    parser.add_argument(
        "--private-registry",
        type=Path,
        default=ImageSettings().private_registry,
        metavar="FILE",
        help="registry configuration (default: %(default)s)",
    )
