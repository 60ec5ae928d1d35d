"""What is written beside a snapshot: extra metadata in RKE2's form, and our record of what it holds.

::

    <directory>/../.metadata/<file>          the data of ConfigMap rke2-etcd-snapshot-extra-metadata, if there was any
    <directory>/../.metadata/<file>.record   what a restore can be checked against (ours)
    <directory>/../.metadata/<file>.verdict  what the last drill with it has shown (ours)

The record has fingerprints and no secrets: from twelve digits of a hash a random token cannot be guessed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rke2.config.paths import Paths
from rke2.errors import ConfigError
from rke2.host.documents import read_document, write_document
from rke2.join.tokens import ca_hash, parse_server_token

log = logging.getLogger(__name__)

_DIGITS = 12
_RECORD = ".record"
_VERDICT = ".verdict"


class Record(msgspec.Struct, omit_defaults=True, frozen=True, rename="camel"):
    """What a snapshot is of.

    Args:
        version: of rke2.
        etcd_version: of the member; `storage_version` is what its database needs to be opened.
        revision: of the cluster when the snapshot was begun; it may hold a little more.
        sha256: of the database, as it is at the end of the snapshot.
        token_hash: see `token_hash`.
        ca_hash: the hash that tokens of the cluster carry.
        counts: number of keys per resource at `revision`; empty if they could not be counted.
    """

    node: str
    taken: int
    version: str
    etcd_version: str = ""
    storage_version: str = ""
    member: str = ""
    cluster: str = ""
    revision: int = 0
    size: int = 0
    sha256: str = ""
    token_hash: str = ""
    ca_hash: str = ""
    counts: dict[str, int] = {}


class DrillVerdict(msgspec.Struct, omit_defaults=True, frozen=True, rename="camel"):
    """What a drill has shown: whether the snapshot restores.

    Args:
        at: Unix time.
        failure: why it does not; empty if it does.
        revision: of the restored database.
        keys: in it, of kube-apiserver; of `resources` kinds.
        decrypted: Secrets that were opened with the keys in the snapshot.
        seconds: how long the drill took.
    """

    name: str
    at: int
    failure: str = ""
    revision: int = 0
    keys: int = 0
    resources: int = 0
    decrypted: int = 0
    seconds: float = 0.0

    @property
    def proof(self) -> str:
        """What was seen of a snapshot that restores."""
        return (
            f"Snapshot {self.name} restores: revision {self.revision}, {self.keys} keys of {self.resources} resources,"
            f" {self.decrypted} Secrets decrypted, in {self.seconds:.1f} s"
        )


def metadata_file(snapshot: Path) -> Path:
    return snapshot.parent.parent / ".metadata" / snapshot.name


def record_file(snapshot: Path) -> Path:
    return metadata_file(snapshot).with_name(snapshot.name + _RECORD)


def verdict_file(snapshot: Path) -> Path:
    return metadata_file(snapshot).with_name(snapshot.name + _VERDICT)


def write_verdict(snapshot: Path, verdict: DrillVerdict) -> None:
    """Write what a drill has shown.

    Raises:
        OSError: the file cannot be written.
    """
    write_document(verdict_file(snapshot), verdict)


def write(snapshot: Path, record: Record, extra: Mapping[str, str]) -> None:
    """Write both files; the one for `extra` only if there is something in it.

    Raises:
        OSError: one cannot be written.
    """
    write_document(record_file(snapshot), record)
    if extra:
        log.info("Saving snapshot metadata to %s", metadata_file(snapshot))
        write_document(metadata_file(snapshot), dict(extra))


def remove(snapshot: Path) -> None:
    """Remove what belongs to a snapshot that is gone.

    Raises:
        OSError: a file cannot be removed.
    """
    for file in (metadata_file(snapshot), record_file(snapshot), verdict_file(snapshot)):
        file.unlink(missing_ok=True)


def read_extra(snapshot: Path) -> dict[str, str]:
    """The extra metadata; empty if there is none, or it cannot be read."""
    return read_document(metadata_file(snapshot), dict[str, str]) or {}


def read_record(snapshot: Path) -> Record | None:
    """The record; None if there is none, or it cannot be read (snapshots of RKE2 have none)."""
    return read_document(record_file(snapshot), Record)


def read_verdict(snapshot: Path) -> DrillVerdict | None:
    """What the last drill has shown; None if there was none, or it cannot be read."""
    return read_document(verdict_file(snapshot), DrillVerdict)


def token_hash(token: str) -> str:
    """What RKE2 marks snapshots with: the first 12 hexadecimal digits of the SHA-256 of the token's password.

    Raises:
        ConfigError: `token` is no server token.
    """
    return hashlib.sha256(parse_server_token(token).password.encode()).hexdigest()[:_DIGITS]


def fingerprints(paths: Paths) -> tuple[str, str]:
    """`token_hash` and `ca_hash` of the cluster whose files are on this server; empty what is not there."""
    try:
        token = token_hash(paths.token.read_text().strip())
    except (OSError, ConfigError):
        token = ""
    try:
        return token, ca_hash((paths.tls / "server-ca.crt").read_bytes())
    except (OSError, ConfigError, ValueError):
        return token, ""
