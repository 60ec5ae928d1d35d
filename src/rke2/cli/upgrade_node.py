"""``rke2 upgrade apply``, ``rollback`` and ``status``: one node, on which they are run."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from rke2.config.paths import Paths
from rke2.config.values import parse_duration
from rke2.errors import ConfigError, HostError, UsageError
from rke2.host.lock import holder
from rke2.installation import begin, datastore, guards, journal
from rke2.installation.journal import Journal
from rke2.installation.release_files import shelved, version_of
from rke2.lifecycle.progress import read_status

_POLL = 0.5
_RESTART_SECONDS = 60.0
"""A service manager that has not started rke2 again by then does not."""
_ASK = "this node is upgraded from {now} to {then}: rke2 is restarted, its pods run on. Go on? [y/N] "


def add_verbs(verbs: Any) -> None:
    """The parsers of the three."""
    apply = verbs.add_parser(
        "apply", help="upgrade this node; if the new release does not prove itself, it goes back"
    )
    apply.add_argument(
        "--to", default="", metavar="VERSION", help="such as v1.37.2+rke2py1; default: that of --from"
    )
    apply.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="a release, as `make release` writes it; default: <data-dir>/upgrade/releases/VERSION",
    )
    apply.add_argument("-y", "--yes", action="store_true", help="do not ask")
    apply.add_argument(
        "--timeout",
        default="10m",
        type=_seconds,
        metavar="DURATION",
        help="how long the new release may take to prove itself (%(default)s)",
    )
    apply.add_argument(
        "--skip-checks",
        nargs="+",
        default=[],
        choices=[guard.name for guard in guards.GUARDS],
        metavar="WHAT",
        help="; ".join(f"{guard.name}: {guard.risk}" for guard in guards.GUARDS),
    )
    apply.add_argument("--stage", action="store_true", help="only verify, copy and import the release")
    apply.add_argument("--snapshotter", default="overlayfs", help="of the node (default: %(default)s)")
    apply.set_defaults(verb=_apply)
    rollback = verbs.add_parser("rollback", help="put the former release of this node back")
    rollback.add_argument(
        "--skip-checks",
        nargs="+",
        default=[],
        choices=["etcd"],
        metavar="WHAT",
        help="etcd: the former etcd may not start on the data, and has to be restored from a snapshot then",
    )
    rollback.set_defaults(verb=_rollback)
    status = verbs.add_parser("status", help="tell how far the upgrade of this node is")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    status.set_defaults(verb=_status)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except (ConfigError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 90s or 10m") from error


# --- apply -----------------------------------------------------------------------------------------
def _apply(paths: Paths, options: argparse.Namespace) -> int:
    """Upgrade this node and wait for the end.

    Returns:
        0 if the new release has proven itself, or is staged; 1 if it was rolled back.

    Raises:
        RKE2Error: it was refused, or failed before anything was exchanged.
    """
    version = _version(paths, options)
    wish = begin.UpgradeWish(
        version,
        options.source.absolute() if options.source else None,
        timeout=options.timeout,
        skipped=options.skip_checks,
        stage_only=options.stage,
        snapshotter=options.snapshotter,
    )
    process = begin.running(paths)
    if not (options.yes or options.stage or _agreed(process.version, version)):
        print("nothing was changed")
        return 1
    started = time.monotonic()
    state = begin.apply(paths, wish, lambda text: print(f"{_clock(started)} {text}", flush=True))
    if state.step == "staged":
        print(f"{_clock(started)} {version} is staged")
        return 0
    return _followed(paths, process.pid, state, started)


def _version(paths: Paths, options: argparse.Namespace) -> str:
    if options.to:
        return str(options.to)
    if options.source:
        return version_of(options.source)
    found = shelved(paths.data_dir)
    if len(found) != 1:
        raise UsageError(
            "say which release: --to VERSION or --from DIR", f"on this node are: {', '.join(found) or 'none'}"
        )
    return found[0]


def _agreed(now: str, then: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here", "add --yes")
    return input(_ASK.format(now=now, then=then)).strip().lower() in ("y", "yes")


def _clock(started: float) -> str:
    return f"{time.monotonic() - started:6.1f}s"


def _followed(paths: Paths, before: int, state: Journal, started: float) -> int:
    """Tell what the node makes of it, to the end."""
    told, until = "", time.monotonic() + _RESTART_SECONDS
    while not (state := journal.read(paths.data_dir) or state).ended:
        if holder(paths.lock) not in (None, before):
            until = float("inf")
        elif time.monotonic() > until:
            raise HostError(
                f"rke2 has ended, and nothing has started it again within {_RESTART_SECONDS:.0f} s",
                f"start it as before: it then runs {state.version}, and still has to prove itself",
            )
        if (now := _waits_for(paths, before)) and now != told:
            told = now
            print(f"{_clock(started)} {now}", flush=True)
        time.sleep(_POLL)
    print(f"{_clock(started)} {_line(state)}")
    return 0 if state.step == "done" else 1


def _waits_for(paths: Paths, before: int) -> str:
    process = read_status(paths.status)
    if process is None or process.pid == before:
        return ""
    return f"{process.version} was started (pid {process.pid})" + (", it is up" if process.ready else "")


# --- rollback --------------------------------------------------------------------------------------
def _rollback(paths: Paths, options: argparse.Namespace) -> int:
    """Put the former release back and restart the node.

    Raises:
        HostError: there is nothing to go back to, or no way back.
    """
    with begin.alone(paths):
        state = journal.read(paths.data_dir)
        if state is None or state.step not in (*journal.UNPROVEN, "done"):
            raise HostError("there is no upgrade of this node to roll back", "see `rke2 upgrade status`")
        if "etcd" not in options.skip_checks:
            _require_way_back(paths, state)
        state = begin.put_back(paths, state, state.reason or "an operator asked for it")
    print(_line(state))
    process = read_status(paths.status)
    if process is None or holder(paths.lock) != process.pid:
        print(f"no rke2 runs here; start it as before: it then runs {state.former}")
        return 0
    begin.restart(process, print)
    return _restarted(paths, process.pid, state)


def _require_way_back(paths: Paths, state: Journal) -> None:
    storage = asyncio.run(datastore.storage_version(paths))
    if why := state.no_way_back or datastore.no_way_back(state, storage):
        raise HostError(
            f"there is no way back to {state.former}: {why}",
            f"see docs/upgrades.md; restore {state.snapshot or 'a snapshot of before'} with it, or go on",
        )


def _restarted(paths: Paths, before: int, state: Journal) -> int:
    until = time.monotonic() + _RESTART_SECONDS
    while holder(paths.lock) in (None, before):
        if time.monotonic() > until:
            raise HostError(
                f"rke2 has ended, and nothing has started it again within {_RESTART_SECONDS:.0f} s",
                f"start it as before: it then runs {state.former}",
            )
        time.sleep(_POLL)
    print(f"{state.former} was started (pid {holder(paths.lock)})")
    return 0


# --- status ----------------------------------------------------------------------------------------
def _status(paths: Paths, options: argparse.Namespace) -> int:
    """Print how far the upgrade is.

    Returns:
        0, or 1 if the last one failed or was rolled back.
    """
    state = journal.read(paths.data_dir)
    if options.output == "json":
        print(json.dumps(msgspec.to_builtins(state) if state else None, indent=2))
    else:
        print(_line(state) if state else "this node was never upgraded by `rke2 upgrade apply`")
    return int(state is not None and state.step in ("failed", "rolled-back"))


def _line(state: Journal) -> str:
    what = f"upgrade from {state.former} to {state.version}: {state.step}"
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(state.since))
    plan = f" (asked for by the plan {state.plan})" if state.plan else ""
    reason = f"\n  reason: {state.reason}" if state.reason else ""
    kept = f"\n  snapshot of before: {state.snapshot}" if state.snapshot else ""
    return f"{what} since {since}{plan}{reason}{kept}"
