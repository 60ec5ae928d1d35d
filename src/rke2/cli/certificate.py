"""check and rotate the certificates of this node, and the authorities of the cluster"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rke2.cli import configured, rotate_ca
from rke2.cli.certificate_output import OUTPUTS, TEXT, tell
from rke2.cli.logging_setup import set_up
from rke2.cli.parser import Parser
from rke2.cli.root import require_root
from rke2.config.paths import Paths
from rke2.config.suggest import did_you_mean
from rke2.errors import HostError, UsageError
from rke2.pki.rotation import rotate
from rke2.pki.services import AGENT, ALL, files
from rke2.pki.validity import check_files

log = logging.getLogger(__name__)


def run(argv: Sequence[str]) -> int:
    """Do what the first argument says.

    Raises:
        UsageError: the command line cannot be used.
        HostError: there is no node here, or only root may look.
        JoinError, ConfigError, PKIError: authorities cannot be given to a server.
        OSError: a file cannot be copied or deleted.
    """
    options = _parser().parse_args(argv or ["--help"])
    action: Callable[[argparse.Namespace], None] = options.action
    set_up(debug=options.debug)
    action(options)
    return 0


# --- verbs -----------------------------------------------------------------------------------------
def _check(options: argparse.Namespace) -> None:
    if options.output != TEXT and options.output not in OUTPUTS:
        raise UsageError(
            f"invalid output format {options.output}", f"choose from {', '.join((TEXT, *OUTPUTS))}"
        )
    paths = _paths(options)
    services = _services(options, paths, "checking")
    found = list(check_files(_certificates(services, paths), datetime.now(UTC)))
    if options.output == TEXT:
        tell(found)
    else:
        print(OUTPUTS[options.output](found), end="")


def _certificates(services: Sequence[str], paths: Paths) -> list[Path]:
    return [file for service in services for file in files(service, paths) if file.suffix == ".crt"]


def _rotate(options: argparse.Namespace) -> None:
    paths = _paths(options)
    backup = rotate(paths, _services(options, paths, "rotating"), datetime.now(UTC))
    log.info(
        "Successfully backed up certificates to %s, please restart rke2 server or agent to rotate certificates",
        backup,
    )


# --- arguments -------------------------------------------------------------------------------------
def _parser() -> Parser:
    parser = Parser(prog="rke2 certificate", description=f"{__doc__}.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    check = _verb(verbs, "check", _check, "show when certificates expire")
    check.add_argument("-o", "--output", default=TEXT, help=f"{', '.join((TEXT, *OUTPUTS))} ({TEXT})")
    _verb(verbs, "rotate", _rotate, "set certificates and keys aside; the next start of rke2 makes new ones")
    rotate_ca.add(verbs)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[Parser],
    name: str,
    action: Callable[[argparse.Namespace], None],
    text: str,
) -> Parser:
    found = verbs.add_parser(name, help=text, description=f"{text}.")
    found.set_defaults(action=action)
    found.add_argument("--debug", action="store_true", help="write debug logs")
    found.add_argument("-d", "--data-dir", type=Path, help="default: as configured")
    found.add_argument(
        "-s",
        "--service",
        action="append",
        default=[],
        help=f"one of {', '.join(ALL)}; may be given more than once; default: all of this node",
    )
    return found


def _paths(options: argparse.Namespace) -> Paths:
    require_root("rke2 certificate", "certificates and keys are root's")
    data_dir: Path = options.data_dir or Path(os.environ.get("RKE2_DATA_DIR") or configured.data_dir())
    paths = Paths(data_dir=data_dir.absolute())
    if not (paths.agent.is_dir() or paths.tls.is_dir()):
        raise HostError(
            f"no node ever ran in {paths.data_dir}", "name the directory of its data with --data-dir"
        )
    return paths


def _services(options: argparse.Namespace, paths: Paths, doing: str) -> Sequence[str]:
    """Those that were named, by commas or one by one; else all that this node has."""
    named = [name for item in options.service for name in item.split(",") if name]
    for name in named:
        if name not in ALL:
            raise UsageError(
                f"service {name} is not recognized",
                did_you_mean(name, ALL) or f"choose from {', '.join(ALL)}",
            )
    if named:
        return tuple(dict.fromkeys(named))
    if paths.server.exists():
        log.info("Server detected, %s agent and server certificates", doing)
        return ALL
    log.info("Agent detected, %s agent certificates", doing)
    return AGENT
