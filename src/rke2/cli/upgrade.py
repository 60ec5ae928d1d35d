"""plan an upgrade, upgrade this node or take it back, and end an upgrade by raising etcd"""

from __future__ import annotations

import argparse
from pathlib import Path

from rke2.cli import configured, upgrade_finish, upgrade_node
from rke2.cli.parser import Parser
from rke2.cli.root import require_root
from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.host.lock import holder
from rke2.lifecycle.progress import ProcessStatus, read_status
from rke2.upgrade.looking import look
from rke2.upgrade.plan import make_plan
from rke2.upgrade.release import target
from rke2.upgrade.text import as_json, as_text


def run(argv: list[str]) -> int:
    """Do what the verb says.

    Raises:
        RKE2Error: as the verb's function.
        HostError: not root.
    """
    options = _parse(argv)
    require_root("rke2 upgrade", "the credentials and the files of the node are root's")
    paths = Paths(data_dir=options.data_dir or configured.data_dir())
    code: int = options.verb(paths, options)
    return code


def _plan(paths: Paths, options: argparse.Namespace) -> int:
    """Print the plan.

    Returns:
        0 if nothing is in the way, 2 if something has to be read first, 3 if the upgrade must not be done yet.

    Raises:
        UsageError: ``--to`` is neither a directory nor a version.
        ContentError: the directory holds no release.
        HostError: no server runs here.
    """
    process = _running_server(paths)
    plan = make_plan(look(paths, process, target(options.to)))
    print(as_json(plan) if options.output == "json" else as_text(plan))
    return int(plan.severity)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="rke2 upgrade", description=f"{__doc__}.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    plan = verbs.add_parser("plan", help="tell what an upgrade would change and what stands in its way")
    plan.add_argument(
        "--to",
        required=True,
        metavar="DIR|VERSION",
        help="directory with the release's image archives and lists of images, or only its version",
    )
    plan.add_argument("-o", "--output", choices=("text", "json"), default="text")
    plan.set_defaults(verb=_plan)
    upgrade_finish.add_verb(verbs)
    upgrade_node.add_verbs(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("-d", "--data-dir", type=Path, help="default: as configured")
    return parser.parse_args(argv)


def _running_server(paths: Paths) -> ProcessStatus:
    process = read_status(paths.status)
    if process is None or holder(paths.lock) != process.pid:
        raise HostError(
            f"no rke2 runs on {paths.data_dir}", "run it on a server of the cluster, which has to run"
        )
    if process.role != "server":
        raise HostError(
            "this node is an agent, which cannot ask for the others", "run `rke2 upgrade plan` on a server"
        )
    return process
