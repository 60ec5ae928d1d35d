"""show what this node is doing: boot, components, etcd members, nodes, certificates, what is being waited for"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import msgspec

from rke2.cli import configured
from rke2.cli.parser import Parser
from rke2.cli.root import require_root
from rke2.config.paths import Paths
from rke2.config.values import parse_duration
from rke2.errors import HostError
from rke2.status.report import StatusReport, make_report
from rke2.status.text import as_text

_POLL = 0.3


def run(argv: list[str]) -> int:
    """Print the report; exit code 0 if the node is ready, 1 if not, 2 if ``--wait`` ran out of time."""
    options = _parse(argv)
    paths = Paths(data_dir=options.data_dir or configured.data_dir())
    _require_readable(paths.status)
    if options.cis:
        return _cis(paths, options)
    if options.timeline:
        return _timeline(paths, options)
    if options.wait:
        return _wait(paths, options)
    report = make_report(paths)
    _print(report, options.output)
    return 0 if report.ready else 1


def _cis(paths: Paths, options: argparse.Namespace) -> int:
    """Exit code 0 if no point fails, 1 if one does."""
    from rke2.status.cis import report

    require_root("rke2 status --cis", "it looks at keys and manifests")
    findings = report.judge(paths)
    if all(each.result == "manual" for each in findings):
        raise HostError(f"no node ever ran in {paths.data_dir}", "start rke2 first, or name --data-dir")
    print(report.as_json(findings) if options.output == "json" else report.as_text(findings))
    return int(any(each.result == "fail" for each in findings))


def _timeline(paths: Paths, options: argparse.Namespace) -> int:
    from rke2.status.timeline.look import look
    from rke2.status.timeline.text import as_text as drawn

    timeline = look(paths)
    if options.output == "json":
        print(json.dumps(msgspec.to_builtins(timeline), indent=2))
    else:
        print(drawn(timeline))
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="rke2 status", description=f"{__doc__}.")
    parser.add_argument("-o", "--output", choices=("text", "wide", "json"), default="text")
    parser.add_argument(
        "--cis",
        action="store_true",
        help="judge this node by the points of the CIS benchmark that it can know",
    )
    parser.add_argument(
        "--timeline",
        action="store_true",
        help="show when each part of the last boot went on, and which of them decided its end",
    )
    parser.add_argument(
        "-w", "--wait", action="store_true", help="wait until the node is ready, telling what for"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=600.0,
        metavar="DURATION",
        help="limit of --wait, like 90s or 5m (10m)",
    )
    parser.add_argument("-d", "--data-dir", type=Path, help="default: as configured for the server")
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else parse_duration(text)


def _require_readable(file: Path) -> None:
    """See that this user may know how the node is.

    Raises:
        HostError: no.
    """
    try:
        file.open("rb").close()
    except PermissionError as error:
        raise HostError(
            f"{file}, the state of this node, cannot be read: permission denied", "run `rke2 status` as root"
        ) from error
    except OSError:
        return  # there is none, or it is told by the report


def _wait(paths: Paths, options: argparse.Namespace) -> int:
    started, told = time.monotonic(), ""
    while True:
        report = make_report(paths, only_process=True)
        if report.process and report.process.ready:
            report = make_report(paths)
        if report.ready:
            _print(report, options.output)
            return 0
        waited = time.monotonic() - started
        if report.waiting_for() != told:
            told = report.waiting_for()
            print(f"{waited:6.1f}s  {told}", file=sys.stderr, flush=True)
        if waited > options.timeout:
            _print(make_report(paths), options.output)
            print(f"rke2: not ready after {options.timeout:.0f} s", file=sys.stderr)
            return 2
        time.sleep(_POLL)


def _print(report: StatusReport, output: str) -> None:
    if output == "json":
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print(as_text(report, wide=output == "wide"))
