"""isolated test hosts on this machine, and a cluster on them

Hosts have their own network, processes, mounts, control groups and name; nothing they do reaches the machine or
leaves it. State is kept in /var/lib/rke2-lab (--state-dir, RKE2_LAB_DIR).
"""

# `make clean` removes hosts with the machine's own Python, where no package is installed: what needs one is imported
# by the verbs that need it.

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rke2.cli.parser import Parser
from rke2.config.cni import COMBINATIONS as CNI_CHOICES
from rke2.config.cni import MULTUS
from rke2.config.cni import PRIMARIES as CNI_PRIMARIES
from rke2.config.ingress import CHOICES as INGRESS_CHOICES
from rke2.errors import LabError, UsageError

if TYPE_CHECKING:
    from rke2_lab.host import LabHost
    from rke2_lab.lab import Lab
    from rke2_lab.node import LabNode

FOLLOW_TIMEOUT = 600.0


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


def _add_up(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(action=_up)
    verb.add_argument("names", nargs="*", metavar="NAME", help="servers by name, instead of --servers")
    verb.add_argument("--servers", type=int, metavar="N", help="servers server-0 … (default: 1)")
    verb.add_argument("--agents", type=int, default=0, metavar="N", help="agents agent-0 … that join them")
    verb.add_argument("--hosts", type=int, default=0, metavar="N", help="hosts host-0 … without rke2")
    verb.add_argument("--content", type=Path, metavar="DIR", help="image archives and configuration drop-ins")
    verb.add_argument(
        "--from-registry",
        action="store_true",
        help="serve the images of --content by a registry on a host of its own, for the nodes to pull them",
    )
    verb.add_argument("--config", type=Path, metavar="FILE", help="config.yaml of the nodes")
    verb.add_argument(
        "--root",
        default="",
        metavar="ROOT",
        help="files of new hosts: a root file system of --content (debian, musl), an archive of one, or `machine` for "
        "those of this machine (default: debian if --content has it)",
    )
    verb.add_argument(
        "--program",
        type=Path,
        metavar="FILE",
        help="rke2 in one file (`make dist`) for new hosts, in place of what this command runs from",
    )
    verb.add_argument(
        "--cni",
        choices=CNI_CHOICES,
        metavar="PLUGIN",
        help=f"CNI plugin of the cluster: {', '.join(CNI_PRIMARIES)}, each also as {MULTUS},PLUGIN "
        "(default: as --config says)",
    )
    verb.add_argument(
        "--ingress", choices=INGRESS_CHOICES, help="its ingress controller (default: as --config says)"
    )
    verb.add_argument("--no-start", action="store_true", help="make the hosts, do not start rke2")
    verb.add_argument(
        "--timeout", type=float, default=FOLLOW_TIMEOUT, metavar="SECONDS", help="how long to wait"
    )


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
    ("up", _add_up, "make hosts and boot a cluster on them"),
    ("down", _add_down, "remove hosts with everything they had, also after a crash"),
    ("exec", _add_exec, "run a command in a host"),
    ("shell", _add_shell, "open a shell in a host"),
    ("logs", _add_logs, "show what rke2 wrote on a host"),
    ("status", _add_status, "show the hosts"),
)


def _lab(arguments: argparse.Namespace) -> Lab:
    """The lab that the command line names."""
    from rke2_lab.lab import Lab

    return Lab(arguments.state_dir, arguments.lab)


# --- verbs -----------------------------------------------------------------------------------------
def _up(arguments: argparse.Namespace) -> int:
    from rke2_lab.up import up

    return up(_lab(arguments), arguments)


def _down(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
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
    return _become(_lab(arguments).host(arguments.host), command)


def _shell(arguments: argparse.Namespace) -> int:
    return _become(_lab(arguments).host(arguments.host), ["bash"])


def _become(host: LabHost, command: Sequence[str]) -> NoReturn:
    """Replace this process by the one that runs `command` in `host`."""
    host.require_running()
    sys.stdout.flush()
    entering = host.command(command)
    os.execve(entering[0], entering, host.environment())


def _logs(arguments: argparse.Namespace) -> int:
    from rke2_lab.node import LabNode

    log = LabNode(_lab(arguments).host(arguments.host)).log
    if not log.exists():
        raise LabError(
            f"rke2 was never started on {arguments.host}", f"rke2 lab up {arguments.host} --content DIR"
        )
    follow = ["--follow=name"] if arguments.follow else []
    os.execvp("tail", ["tail", f"--lines={arguments.lines}", *follow, str(log)])


def _status(arguments: argparse.Namespace) -> int:
    from rke2_lab.node import LabNode

    lab = _lab(arguments)
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
