"""What a server knows of a restore of its cluster, on disk: who is killed reads here where it was.

::

    server/db/restore.json    on the server where the command was given, which leads
        planned ─▶ stopping ─▶ changing ─▶ restored ─▶ done
           └─▶ failed           nothing was changed; everything runs on
    server/db/rejoin.json     on each of the others, from the word to stop until its new member is a voter
    server/db/etcd-self.json  which member of which cluster the data on this server is of

Each step is written before what it stands for is begun. `planned`: other servers do not know yet. `stopping`: some may
have stopped. `changing`: all have, and the own data is being exchanged. `restored`: it is; the others join.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from rke2.config.paths import Paths
from rke2.host.documents import read_document, write_document

Step = Literal["planned", "stopping", "changing", "restored", "done", "failed"]


class OtherServer(msgspec.Struct, omit_defaults=True, frozen=True):
    """Another server of the cluster.

    Args:
        name: of its node.
        host: of its peer URL; its supervisor listens there.
        state: as far as the leader knows; ``away``: neither rke2 nor etcd answered there.
    """

    name: str
    host: str
    state: Literal["", "stopped", "away"] = ""


class Restore(msgspec.Struct, omit_defaults=True, frozen=True, rename="camel"):
    """A restore, as the server that leads it has it.

    Args:
        id: of this restore; random.
        snapshot: path of the file; empty if the data of this server is kept (``rke2 etcd recover``).
        cluster: the etcd cluster that ends, in hexadecimal; empty if it is not known.
        saved: name of the snapshot of the state before.
        began, ended: Unix time.
        failure, remedy: why it does not go on.
    """

    id: str
    snapshot: str
    began: float
    cluster: str = ""
    servers: tuple[OtherServer, ...] = ()
    step: Step = "planned"
    saved: str = ""
    ended: float = 0.0
    failure: str = ""
    remedy: str = ""

    @property
    def changes_data(self) -> bool:
        """Whether this server has to work on it before it starts as usual."""
        return self.step in ("planned", "stopping", "changing")

    @property
    def over(self) -> bool:
        return self.step in ("done", "failed")

    @property
    def command(self) -> str:
        return f"rke2 etcd-snapshot restore {self.snapshot}" if self.snapshot else "rke2 etcd recover"


class Rejoin(msgspec.Struct, omit_defaults=True, frozen=True, rename="camel"):
    """The word to a server that its cluster was, or will be, restored elsewhere.

    Args:
        id: of the restore.
        leader: URL of a server of the restored cluster.
        cluster: the etcd cluster that ends; empty if it is not known.
        aside: the data of that cluster was moved away: what is here now is of the restored one.
    """

    id: str
    leader: str
    cluster: str = ""
    aside: bool = False


class MemberIdentity(msgspec.Struct, frozen=True):
    """Which member of which cluster the data is of, in hexadecimal."""

    cluster: str
    member: str


def restore_file(paths: Paths) -> Path:
    return paths.etcd.with_name("restore.json")


def rejoin_file(paths: Paths) -> Path:
    return paths.etcd.with_name("rejoin.json")


def identity_file(paths: Paths) -> Path:
    return paths.etcd.with_name("etcd-self.json")


def read_restore(paths: Paths) -> Restore | None:
    """The last restore that this server led; None if there was none."""
    return read_document(restore_file(paths), Restore)


def read_rejoin(paths: Paths) -> Rejoin | None:
    """What this server has to join again; None if it has not."""
    return read_document(rejoin_file(paths), Rejoin)


def read_identity(paths: Paths) -> MemberIdentity | None:
    """None if a member of this release has not run with the data yet."""
    return read_document(identity_file(paths), MemberIdentity)


def write_restore(paths: Paths, restore: Restore) -> None:
    """Keep the state of a restore, durably.

    Raises:
        OSError: it cannot be written.
    """
    write_document(restore_file(paths), restore)


def write_rejoin(paths: Paths, rejoin: Rejoin) -> None:
    """Keep the word to join again, durably.

    Raises:
        OSError: it cannot be written.
    """
    write_document(rejoin_file(paths), rejoin)


def write_identity(paths: Paths, identity: MemberIdentity) -> None:
    """Keep which member this is.

    Raises:
        OSError: it cannot be written.
    """
    write_document(identity_file(paths), identity)


def forget(paths: Paths) -> None:
    """Take all of it back: an operator has reset this server by hand."""
    for file in (restore_file(paths), rejoin_file(paths), identity_file(paths)):
        file.unlink(missing_ok=True)
