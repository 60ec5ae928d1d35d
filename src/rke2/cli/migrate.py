"""tell what changing this node from RKE2 to this program would do; reads only"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from rke2.cli import configured
from rke2.cli.parser import Parser
from rke2.cli.root import require_root
from rke2.config.flags import flags_of
from rke2.config.paths import Paths
from rke2.errors import HostError, UsageError
from rke2.migration.check import check
from rke2.migration.findings import worst
from rke2.migration.node import ExistingNode, role_of
from rke2.migration.text import as_json, as_text


def run(argv: list[str]) -> int:
    """Print the findings.

    Returns:
        0 if nothing is in the way, 2 if something of the cluster changes, 3 if the node would not start.

    Raises:
        UsageError: it is asked for anything else than a check.
        HostError: not root, or no node ever ran here.
    """
    options = _parse(argv)
    if not options.check:
        raise UsageError(
            "rke2 migrate only checks", "run `rke2 migrate --check`; docs/from-rke2.md has the steps"
        )
    require_root("rke2 migrate", "the data of RKE2 is root's")
    paths = Paths(data_dir=options.data_dir or configured.data_dir())
    if not (paths.agent.exists() or paths.server.exists()):
        raise HostError(
            f"no node ever ran in {paths.data_dir}",
            "there is nothing to check before an installation; name another directory with --data-dir",
        )
    node = ExistingNode(options.role or role_of(paths), paths, options.program)
    findings = check(node, options.config)
    print(as_json(node, findings) if options.output == "json" else as_text(node, findings))
    return int(worst(findings))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="rke2 migrate", description=f"{__doc__}.")
    parser.add_argument("--check", action="store_true", help="look at this node and write nothing")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--role", choices=("server", "agent"), help="default: what the data directory is of")
    parser.add_argument("-d", "--data-dir", type=Path, help="default: as configured")
    parser.add_argument(
        "-c",
        "--config",
        default=os.environ.get("RKE2_CONFIG_FILE") or str(flags_of("server")["config"].initial),
        help="RKE2's configuration file (%(default)s)",
    )
    parser.add_argument(
        "--program",
        type=Path,
        default=Path(
            shutil.which("rke2", path="/usr/local/bin:/usr/bin:/opt/rke2/bin") or "/usr/local/bin/rke2"
        ),
        help="RKE2's program (%(default)s)",
    )
    return parser.parse_args(argv)
