"""``rke2 etcd``: what an operator does with the cluster's etcd itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rke2.cli import etcd_restore
from rke2.cli.logging_setup import set_up
from rke2.cli.parser import Parser
from rke2.config.paths import DEFAULT_DATA_DIR, Paths

SERVER = "https://127.0.0.1:9345"


def run(argv: Sequence[str]) -> int:
    """Do what the first argument says.

    Raises:
        EtcdError, JoinError, HostError: it cannot be done.
        UsageError: an argument is unusable.
    """
    options = _parser().parse_args(argv or ["--help"])
    set_up(debug=False)
    _recover(options)
    return 0


def _recover(options: argparse.Namespace) -> None:
    paths = Paths(data_dir=options.data_dir)
    etcd_restore.run(paths, SERVER, "", directory=None, dry_run=options.dry_run, yes=options.yes)


def _parser() -> Parser:
    parser = Parser(prog="rke2 etcd", description="Recover the etcd of a cluster.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    recover = verbs.add_parser(
        "recover",
        help="go on with the data of this server when the others are lost, without a snapshot",
        description="Make this server the first one of its cluster again, with the data it has, and let the other"
        " servers join it with empty members. For a cluster that has lost its quorum and has no snapshot.",
    )
    recover.add_argument("--dry-run", action="store_true", help="show the plan and change nothing")
    recover.add_argument("--yes", action="store_true", help="do not ask")
    recover.add_argument(
        "--data-dir", "-d", type=Path, default=DEFAULT_DATA_DIR, help="directory of all state"
    )
    return parser
