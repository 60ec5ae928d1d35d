"""The list of servers a node remembers, so that it finds the cluster when the server it once joined is gone.

The file is shared with other releases of RKE2 (supervisor-api.md 9.7): JSON, indented by two spaces.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from rke2.host import addresses
from rke2.host.files import ensure_dir, write_atomic

log = logging.getLogger(__name__)


def load(path: Path, server_url: str) -> tuple[str, ...]:
    """The remembered addresses; empty if there are none, or if they were learnt from another server."""
    try:
        stored = json.loads(path.read_text())
        if addresses.https_url(stored["ServerURL"]) != server_url:  # RKE2 writes what the operator wrote
            return ()
        servers = tuple(stored.get("ServerAddresses") or ())
        for server in servers:
            addresses.split(server)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # Whatever is wrong with the file, the default server is still known: no reason to end a start.
        log.warning("%s is ignored, the servers it names are found again: %s", path, error)
        return ()
    return servers


def save(path: Path, server_url: str, servers: tuple[str, ...]) -> None:
    """Remember `servers`. A file that cannot be written is worth a warning: the node works without it."""
    content = {"ServerURL": server_url, "ServerAddresses": list(servers)}
    try:
        ensure_dir(path.parent)
        write_atomic(path, json.dumps(content, indent=2))
    except OSError as error:
        log.warning("%s cannot be written: %s", path, error)
