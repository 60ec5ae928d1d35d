"""``rke2 certificate rotate-ca``: give a server other certificate authorities for the cluster (day2 reference §5.3)."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from rke2.cli import configured
from rke2.cli.parser import Parser
from rke2.cli.server_request import add_flags, ask, stored_token
from rke2.errors import UsageError
from rke2.join.bootstrap import FILES, ROTATABLE, BootstrapData
from rke2.join.tokens import ca_hash, parse_token

HELP = "give the cluster other certificate authorities; each node takes them over when it is started again"
_PATH = "/v1-rke2/cert/cacerts"
_SECONDS = 60.0
_SAVED = "certificates saved to datastore"
_RESTART = "Start rke2 again on every server, one after the other, then on every agent."


def add(verbs: argparse._SubParsersAction[Parser]) -> None:
    """Add the verb and its flags."""
    parser = verbs.add_parser("rotate-ca", help=HELP, description=f"{HELP}.")
    parser.set_defaults(action=rotate_ca)
    parser.add_argument(
        "--path",
        type=Path,
        required=True,
        help="directory with tls/, in which the new files have the names that they have in <data-dir>/server/tls",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also if who knows the former authorities does not trust the new ones: connections of nodes break until "
        "they are started again",
    )
    add_flags(parser)
    # As for the other verbs of `rke2 certificate`: config.yaml says where the data is.
    parser.set_defaults(data_dir=None)


def rotate_ca(options: argparse.Namespace) -> None:
    """Send the files below ``--path``, and say what has to be done then.

    Raises:
        UsageError: there are none.
        JoinError: the server refuses them, or does not answer.
        ConfigError: the token cannot be read.
        PKIError: a file cannot be read.
    """
    data = wanted(options.path)
    options.data_dir = options.data_dir or configured.data_dir()
    options.token = options.token or stored_token(options.data_dir, "--token and --server")
    path = f"{_PATH}?force={str(options.force).lower()}"
    asyncio.run(ask(options, lambda supervisor: supervisor.put(path, data.to_json(), _SECONDS)))
    print("\n".join((_SAVED, _RESTART, *_of_tokens(data, options.token))))


def wanted(path: Path) -> BootstrapData:
    """What is to be sent of the directory `path`; none of it is a must.

    Raises:
        UsageError: there is nothing in it.
        PKIError: a file cannot be read.
    """
    found = BootstrapData.read(path, complain=False).entries
    entries = {key: found[key] for key in ROTATABLE if key in found}
    if not entries:
        raise UsageError(
            f"there is none of {', '.join(FILES[key].path for key in ROTATABLE)} in {path}",
            "name the directory that contains tls, not tls itself",
        )
    return BootstrapData(entries)


def _of_tokens(data: BootstrapData, token: str) -> list[str]:
    """What becomes of tokens: full ones name the server CA's root; the agents' is made with the client CA's key.

    Args:
        token: with which the server was asked.
    """
    told, parsed = [], parse_token(token)
    authority = data.entries.get("ServerCA")
    if authority and parsed.ca_hash != (new := ca_hash(authority.content)):
        told.append(
            f"Full tokens begin with K10{new} then: where token or agent-token is configured with another hash, "
            "exchange it first."
        )
    if "ClientCAKey" in data.entries:
        told.append(
            "Where agents have the password of server/agent-token, give them the one that is there then."
        )
    return told
