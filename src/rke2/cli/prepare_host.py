"""make this host as a hardening profile asks for it: kernel settings, and the user that etcd runs as"""

from __future__ import annotations

import argparse

from rke2.cli.parser import Parser
from rke2.cli.root import require_root
from rke2.config.profiles import PROFILES, profile_of
from rke2.errors import explained
from rke2.host.hardening import HostChange, changes


def run(argv: list[str]) -> int:
    """Show what is to be done, then do it; nothing if it is done already.

    Returns:
        0.

    Raises:
        HostError: not root, or something could not be done.
    """
    options = _parse(argv)
    profile = profile_of(options.profile)
    todo = changes(profile.sysctls, accounts=profile.etcd_user and not options.agent)
    if not todo:
        print(f"The host is as profile {options.profile} asks: nothing to do.")
        return 0
    print("\n".join([f"For profile {options.profile}:", *(f"  {change.shown}" for change in todo)]))
    if options.dry_run:
        print("Nothing was changed.")
        return 0
    require_root("rke2 prepare-host", remedy="run it with sudo, or with --dry-run to look only")
    for change in todo:
        _do(change)
    print("Done.")
    return 0


def _do(change: HostChange) -> None:
    try:
        change.do()
    except OSError as error:
        raise explained(error, f"cannot {change.shown}") from error


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="rke2 prepare-host", description=f"{__doc__}.")
    parser.add_argument("--profile", choices=[name for name in PROFILES if name], required=True)
    parser.add_argument("--agent", action="store_true", help="the host is an agent: without a user for etcd")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
    return parser.parse_args(argv)
