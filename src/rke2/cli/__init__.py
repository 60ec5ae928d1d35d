"""The ``rke2`` program: a table of verbs, each a module with ``run(argv) -> int``, imported when it is called.

Nothing but this module is loaded for ``rke2 --help`` and ``rke2 --version``. Every `RKE2Error`, and
what the operating system refuses or nobody foresaw, ends here as message and hint on standard error, and exit code 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rke2.errors import RKE2Error, UsageError, explained, first_error

VERBS: dict[str, tuple[str, str]] = {
    "server": ("rke2.cli.server", "Run a server: control plane, etcd and node in one"),
    "agent": ("rke2.cli.agent", "Run a node that joins a cluster"),
    "status": ("rke2.cli.status", "Show what runs, what is waited for, and what to do"),
    "kubectl": ("rke2.cli.kubectl", "Run kubectl as administrator of the cluster"),
    "crictl": ("rke2.cli.crictl", "Run crictl for this node's containerd"),
    "ctr": ("rke2.cli.ctr", "Run ctr for this node's containerd, in the namespace of Kubernetes"),
    "images": ("rke2.cli.images", "List, fetch, import, export and verify images"),
    "lab": ("rke2_lab.command_line", "Make isolated test hosts on this machine"),
    "etcd-snapshot": ("rke2.cli.etcd_snapshot", "Save, list, verify, restore and remove etcd snapshots"),
    "etcd": ("rke2.cli.etcd", "Recover the etcd of a cluster that has lost its quorum"),
    "certificate": ("rke2.cli.certificate", "Check and rotate certificates"),
    "secrets-encrypt": ("rke2.cli.secrets_encrypt", "Manage the encryption of Secrets at rest"),
    "token": ("rke2.cli.token", "Manage the tokens with which agents join"),
    "prepare-host": ("rke2.cli.prepare_host", "Make this host as a hardening profile asks for it"),
    "migrate": ("rke2.cli.migrate", "Tell what changing a node from RKE2 to this program would do"),
    "upgrade": ("rke2.cli.upgrade", "Plan an upgrade, upgrade this node, and go back"),
    "completion": ("rke2.cli.completion", "Print or install shell completion for bash or zsh"),
}
"""Verb -> module and summary."""

_FOR_SCRIPTS = {"remove-ip-sets": "rke2.cli.remove_ip_sets"}
"""What the scripts beside rke2 call; no help shows it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        argv: the arguments after the program's name; those of the process if None.

    Returns:
        The exit code: 0, 1 after an error (RKE2 knows no other), 130 after Ctrl-C, or what the verb returns.
    """
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except RKE2Error as error:
        _report(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as with `rke2 --help | head`
        sys.stderr.close()
        return 1
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - told in a user's words
        return _unforeseen(first_error(error))


def _dispatch(argv: list[str]) -> int:
    verb, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if verb in ("--help", "-h", "-help", "help"):
        print(_help())
        return 0
    if verb in ("--version", "-v", "-version"):
        print(_version())
        return 0
    return _run(verb, rest)


def _run(verb: str, argv: list[str]) -> int:
    if verb not in VERBS and verb not in _FOR_SCRIPTS:
        from rke2.config.suggest import did_you_mean

        raise UsageError(
            f"{verb!r} is not a command of rke2", did_you_mean(verb, VERBS) or "see `rke2 --help`"
        )
    module = _FOR_SCRIPTS.get(verb) or VERBS[verb][0]
    from importlib import import_module

    code: int = import_module(module).run(argv)
    return code


def _report(error: RKE2Error) -> None:
    print(f"rke2: error: {error.message}", file=sys.stderr)
    if error.remedy:
        print(f"       hint: {error.remedy}", file=sys.stderr)


def _unforeseen(error: BaseException) -> int:
    """The end of a verb by what has no message of ours, perhaps in the group of a task group."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if not isinstance(error, Exception):
        raise error
    if not isinstance(error, RKE2Error | OSError):
        from traceback import print_exception

        print_exception(error)
    _report(explained(error))
    return 1


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"   {name:{width}}  {VERBS[name][1]}" for name in VERBS)
    return f"""NAME:
   rke2 - Rancher Kubernetes Engine 2, in Python

USAGE:
   rke2 COMMAND [OPTIONS]

COMMANDS:
{verbs}

OPTIONS:
   --help, -h     Show this help; `rke2 COMMAND --help` shows that of a command
   --version, -v  Print the version"""


def _version() -> str:
    """Two lines like RKE2's, whose second one names the Go version."""
    from rke2.version import COMMIT, VERSION

    python = ".".join(map(str, sys.version_info[:3]))
    return f"rke2 version {VERSION} ({COMMIT})\npython version {python}"
