"""``rke2 kubectl``: as the administrator of the cluster, where this node has the kubeconfig for that.

Whom kubectl speaks for is decided in this order: what the command line or ``KUBECONFIG`` says; the administrator's
kubeconfig that a server writes; the user's own ``~/.kube/config``. An agent has no kubeconfig of a person.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from rke2.cli import configured, node_program
from rke2.config.paths import Paths
from rke2.errors import HostError

_CHOOSING = ("--kubeconfig", "--server", "-s")
"""Options that say which cluster is meant."""

_LOCAL = frozenset({"completion", "config", "help", "kustomize", "options", "plugin"})
"""Commands that need no cluster."""
_LOCAL_OPTIONS = frozenset({"--client", "--client=true", "--help", "-h"})


def run(argv: Sequence[str]) -> NoReturn:
    """Become kubectl.

    Raises:
        ContentError, HostError: it cannot be started, or no kubeconfig is there for it.
    """
    paths = Paths(data_dir=configured.data_dir())
    node_program.become("kubectl", paths.bin, argv, variables(paths, argv))


def variables(paths: Paths, argv: Sequence[str]) -> Mapping[str, str]:
    """What kubectl is told besides its arguments.

    Raises:
        HostError: the cluster is needed, and nothing says who asks.
    """
    if _allowed(paths.admin_kubeconfig, os.R_OK):
        return {"KUBECONFIG": str(paths.admin_kubeconfig)}
    if _is_chosen(argv) or _is_local(argv) or Path.home().joinpath(".kube/config").exists():
        return {}
    # Without the program any other remedy comes too early; the caller says so.
    if _allowed(paths.bin / "kubectl", os.X_OK):
        raise _missing(paths)
    return {}


def _allowed(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _is_chosen(argv: Sequence[str]) -> bool:
    return bool(os.environ.get("KUBECONFIG")) or any(_is_option(word, _CHOOSING) for word in _own(argv))


def _is_option(word: str, names: Sequence[str]) -> bool:
    return any(word == name or word.startswith(f"{name}=") for name in names)


def _is_local(argv: Sequence[str]) -> bool:
    return not argv or argv[0] in _LOCAL or not _LOCAL_OPTIONS.isdisjoint(_own(argv))


def _own(argv: Sequence[str]) -> Sequence[str]:
    """kubectl's own arguments, without those of the command that `kubectl exec … --` starts."""
    return argv[: argv.index("--")] if "--" in argv else argv


def _missing(paths: Paths) -> HostError:
    admin = paths.admin_kubeconfig
    hidden = admin.parent.exists() and not _allowed(admin.parent, os.X_OK)
    if hidden or os.path.lexists(admin):
        return HostError(
            f"{admin}, the kubeconfig of the administrator, cannot be read: permission denied",
            "run `rke2 kubectl` as root, or set write-kubeconfig-mode or KUBECONFIG",
        )
    return HostError(
        f"there is no kubeconfig for kubectl: {admin} is written by servers, and KUBECONFIG is not set",
        "copy that file from a server, with the server's address in it for 127.0.0.1, and set KUBECONFIG to it;"
        f" as root, {paths.kubelet_kubeconfig} has the rights of this node",
    )
