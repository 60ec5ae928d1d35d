"""How far etcd's data on this node have gone: a newer minor changes them, and the older one does not start then.

See docs/upgrades.md, *the point of no return*.
"""

from __future__ import annotations

from rke2.config.paths import Paths
from rke2.errors import EtcdError, PKIError
from rke2.etcd.client import EtcdClient
from rke2.etcd.minor import EtcdMinor
from rke2.installation.journal import Journal
from rke2.staticpods.etcd_config import CLIENT_PORT

SECONDS = 5.0


def has_etcd(paths: Paths) -> bool:
    """Whether this node has a member of etcd."""
    return (paths.etcd / "name").exists()


async def storage_version(paths: Paths) -> str:
    """What the member of this node says of its data, such as ``3.6.0``; empty without a member that answers."""
    if not has_etcd(paths):
        return ""
    tls, endpoint = paths.tls / "etcd", f"https://127.0.0.1:{CLIENT_PORT}"
    try:
        async with EtcdClient(
            [endpoint], tls / "client.crt", tls / "client.key", tls / "server-ca.crt"
        ) as client:
            return (await client.status(endpoint, timeout=SECONDS)).storage_version
    except (EtcdError, PKIError, OSError):
        return ""


def no_way_back(state: Journal, storage: str) -> str:
    """Why the former release cannot run on the data any more; empty if it can, as far as is known.

    Args:
        storage: as of `storage_version`, now.
    """
    before, now = EtcdMinor.parse(state.storage), EtcdMinor.parse(storage)
    if before is None or now is None or now <= before:
        return ""
    return f"etcd's data were {state.storage} and are {storage} now: {state.former} does not start on them"
