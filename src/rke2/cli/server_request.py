"""What verbs have in common that ask a server with its token: ``etcd-snapshot``, ``secrets-encrypt``, ``token rotate``.

For the last two config.yaml is not read, as RKE2 does not read it for them; `add_flags` has their flags.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rke2.cli.quick_import import quick_import
from rke2.config.paths import DEFAULT_DATA_DIR, Paths
from rke2.errors import ConfigError, JoinError

if TYPE_CHECKING:
    from rke2.join.client import Supervisor

T = TypeVar("T")

USER = "server"
URL = "https://127.0.0.1:9345"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say whom to ask, and with what."""
    parser.add_argument(
        "-d", "--data-dir", type=Path, default=DEFAULT_DATA_DIR, help="directory of all state"
    )
    parser.add_argument(
        "-t",
        "--token",
        default=os.environ.get("RKE2_TOKEN", ""),
        help="server token; default: $RKE2_TOKEN, else the content of <data-dir>/server/token",
    )
    parser.add_argument(
        "-s",
        "--server",
        default=os.environ.get("RKE2_URL") or URL,
        help=f"server to ask; default: $RKE2_URL, else {URL}",
    )
    parser.add_argument("-c", "--config", help=argparse.SUPPRESS)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


async def ask(options: argparse.Namespace, question: Callable[[Supervisor], Awaitable[T]]) -> T:
    """The answer of the server that the flags of `add_flags` name; raises as `ask_server` and `stored_token`."""
    token = options.token or stored_token(options.data_dir, "--token and --server")
    return await ask_server(options.server, token, question)


async def ask_server(url: str, token: str, question: Callable[[Supervisor], Awaitable[T]]) -> T:
    """The answer of a server.

    Raises:
        JoinError: it refuses, or does not answer.
    """
    with quick_import():
        from rke2.join.client import connect

    supervisor = await connect(url, token, USER)
    try:
        return await question(supervisor)
    except JoinError as error:
        if not error.said:
            raise
        raise JoinError(f"see server log for details: {error.said}", status=error.status) from error


def stored_token(data_dir: Path, flags: str) -> str:
    """The token of the server whose data is in `data_dir`.

    Args:
        flags: that say it otherwise.

    Raises:
        ConfigError: it cannot be read.
    """
    file = Paths(data_dir=data_dir).token
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}",
            f"run this as root on a server, or give {flags}",
        ) from error
