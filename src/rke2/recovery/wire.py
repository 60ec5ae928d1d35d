"""What servers tell each other of restores on port 9345 (ours), and what a restored etcd remembers of them."""

from __future__ import annotations

import msgspec

from rke2.recovery.state import Rejoin, Restore


class Restored(msgspec.Struct, omit_defaults=True, frozen=True):
    """A restore that was done: kept in the etcd that came out of it.

    Args:
        id: of the restore.
        cluster: the etcd cluster that ended with it.
        at: Unix time.
    """

    id: str
    cluster: str
    at: float = 0.0


class Answer(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a server says of its cluster.

    Args:
        cluster, member: of its own etcd, in hexadecimal; empty if that does not answer.
        revision: of the data there.
        members: of that cluster.
        restores: that led to it, the newest last.
        leads: the restore that it leads or has led.
        rejoins: what it has been told to join again.
    """

    node: str = ""
    cluster: str = ""
    member: str = ""
    revision: int = 0
    members: tuple[str, ...] = ()
    restores: tuple[Restored, ...] = ()
    leads: Restore | None = None
    rejoins: Rejoin | None = None
