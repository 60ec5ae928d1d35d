"""isolated test hosts on this machine, and a cluster on them

Hosts have their own network, processes, mounts, control groups and name; nothing they do reaches the machine or
leaves it. State is kept in /var/lib/rke2-lab (--state-dir, RKE2_LAB_DIR).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from rke2.cli.parser import Parser
from rke2.errors import LabError, UsageError
from rke2_lab.host import LabHost
from rke2_lab.node import LabNode
from rke2_lab.up import add_arguments, opened


def run(argv: list[str]) -> int:
    """Run ``rke2 lab <argv>``.

    Returns:
        The exit code.

    Raises:
        UsageError: the command line cannot be understood.
        LabError: what was asked for cannot be done.
    """
    arguments = _parser().parse_args(argv)
    action: Callable[[argparse.Namespace], int] = arguments.action
    return action(arguments)


# --- command line ----------------------------------------------------------------------------------
def _parser() -> Parser:
    summary, _, details = (__doc__ or "").partition("\n")
    parser = Parser(prog="rke2 lab", description=f"{summary.capitalize()}.\n{details}", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, add, help_text in _VERBS:
        verb = verbs.add_parser(
            name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.", allow_abbrev=False
        )
        verb.add_argument("--lab", default="lab", metavar="NAME", help="which lab (default: lab)")
        verb.add_argument("--state-dir", type=Path, metavar="DIR", help="where labs are kept")
        add(verb)
    return parser


def _add_down(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(action=_down)
    verb.add_argument("names", nargs="*", metavar="HOST", help="only these hosts")
    verb.add_argument("--all", action="store_true", help="every lab of the state directory")


def _add_exec(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(action=_exec)
    verb.add_argument("host", metavar="HOST")
    verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")


def _add_shell(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(action=_shell)
    verb.add_argument("host", metavar="HOST")


def _add_logs(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(action=_logs)
    verb.add_argument("host", metavar="HOST")
    verb.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    verb.add_argument("-n", "--lines", default="+1", metavar="N", help="only the last N lines")


def _add_status(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(action=_status)
    verb.add_argument("-o", "--output", choices=("text", "json"), default="text")


_VERBS: tuple[tuple[str, Callable[[argparse.ArgumentParser], None], str], ...] = (
    ("up", add_arguments, "make hosts and boot a cluster on them"),
    ("down", _add_down, "remove hosts with everything they had, also after a crash"),
    ("exec", _add_exec, "run a command in a host"),
    ("shell", _add_shell, "open a shell in a host"),
    ("logs", _add_logs, "show what rke2 wrote on a host"),
    ("status", _add_status, "show the hosts"),
)


# --- verbs -----------------------------------------------------------------------------------------
def _down(arguments: argparse.Namespace) -> int:
    lab = opened(arguments)
    if arguments.all:
        for found in sorted(lab.state_dir.glob("*/lab.json")):
            type(lab)(lab.state_dir, found.parent.name).down()
    elif arguments.names:
        for name in arguments.names:
            lab.remove_host(name)
    else:
        lab.down()
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("rke2 lab exec: no command", "rke2 lab exec HOST -- COMMAND …")
    return _become(opened(arguments).host(arguments.host), command)


def _shell(arguments: argparse.Namespace) -> int:
    return _become(opened(arguments).host(arguments.host), ["bash"])


def _become(host: LabHost, command: Sequence[str]) -> NoReturn:
    """Replace this process by the one that runs `command` in `host`."""
    host.require_running()
    sys.stdout.flush()
    entering = host.command(command)
    os.execve(entering[0], entering, host.environment())


def _logs(arguments: argparse.Namespace) -> int:
    log = LabNode(opened(arguments).host(arguments.host)).log
    if not log.exists():
        raise LabError(
            f"rke2 was never started on {arguments.host}", f"rke2 lab up {arguments.host} --content DIR"
        )
    follow = ["--follow=name"] if arguments.follow else []
    os.execvp("tail", ["tail", f"--lines={arguments.lines}", *follow, str(log)])


def _status(arguments: argparse.Namespace) -> int:
    lab = opened(arguments)
    rows = [asdict(status) | {"rke2": _rke2(LabNode(lab.host(status.name)))} for status in lab.status()]
    if arguments.output == "json":
        print(json.dumps({"lab": lab.name, "hosts": rows}, indent=2))
        return 0
    print(f"{'HOST':<16} {'STATE':<8} {'IPV4':<14} {'IPV6':<12} {'RKE2':<12} DIRECTORY")
    for row in rows:
        state = "running" if row["running"] else "stopped"
        rke2 = f"pid {row['rke2']}" if row["rke2"] else "-"
        print(
            f"{row['name']:<16} {state:<8} {row['address']:<14} {row['address6']:<12} {rke2:<12} {row['directory']}"
        )
    return 0


def _rke2(node: LabNode) -> int | None:
    process = node.process
    return process.pid if process else None
