"""The programs of a node that operators call: kubectl, crictl and ctr, found and pointed at this node as k3s does it.

They are unpacked from the runtime image when the node starts. rke2 becomes the program: arguments, exit code, signals
and terminal are its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from rke2.errors import ContentError, HostError


def become(name: str, directory: Path, argv: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Replace this process by the program `name`.

    Args:
        directory: where the programs of the node are.
        variables: set for the program; those that the caller has set already stay as they are.

    Raises:
        ContentError: it is not there yet.
        HostError: this user may not start it, or it cannot be started.
    """
    program = directory / name
    environment = {
        **os.environ,
        **{key: value for key, value in variables.items() if not os.environ.get(key)},
    }
    _as_a_shell_would_start_it()
    try:
        os.execve(program, [name, *argv], environment)
    except FileNotFoundError as error:
        raise ContentError(
            f"{program} is not there: the programs of a node come with its runtime image",
            "start rke2 once, it unpacks them; with another data directory set RKE2_DATA_DIR",
        ) from error
    except PermissionError as error:
        raise HostError(f"{program}: permission denied", f"run `rke2 {name}` as root") from error
    except OSError as error:
        raise HostError.of(error, f"{program} cannot be started") from error


def _as_a_shell_would_start_it() -> None:
    """Python ignores these two, and what is ignored stays so in the program: `rke2 ctr … | head` would not end."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
