"""The bootstrap map: the CAs, keys and passwords that all servers of a cluster share.

Mirrors the supervisor reference §6.1. The map is what ``GET /v1-rke2/server-bootstrap`` answers with and what etcd
keeps, encrypted. `FILES` is all there is in it.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rke2.errors import JoinError
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.pem import read_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BootstrapFile:
    """Where a part of the map lies below ``<dd>/server``.

    Args:
        rotatable: may be exchanged by ``rotate-ca``.
        always: every cluster has it.
    """

    path: str
    rotatable: bool = True
    always: bool = True


AGENT_SALT = "AgentTokenSalt"
"""What the agents' password is made with since the first rotation of the token (`rke2.join.credentials`)."""

FILES: Mapping[str, BootstrapFile] = {
    "ETCDServerCA": BootstrapFile("tls/etcd/server-ca.crt"),
    "ETCDServerCAKey": BootstrapFile("tls/etcd/server-ca.key"),
    "ETCDPeerCA": BootstrapFile("tls/etcd/peer-ca.crt"),
    "ETCDPeerCAKey": BootstrapFile("tls/etcd/peer-ca.key"),
    "ServerCA": BootstrapFile("tls/server-ca.crt"),
    "ServerCAKey": BootstrapFile("tls/server-ca.key"),
    "ClientCA": BootstrapFile("tls/client-ca.crt"),
    "ClientCAKey": BootstrapFile("tls/client-ca.key"),
    "RequestHeaderCA": BootstrapFile("tls/request-header-ca.crt"),
    "RequestHeaderCAKey": BootstrapFile("tls/request-header-ca.key"),
    "ServiceKey": BootstrapFile("tls/service.key"),
    "PasswdFile": BootstrapFile("cred/passwd", rotatable=False),
    "IPSECKey": BootstrapFile("cred/ipsec.psk", rotatable=False),
    "EncryptionConfig": BootstrapFile("cred/encryption-config.json", rotatable=False),
    "EncryptionHash": BootstrapFile("cred/encryption-state.json", rotatable=False),
    AGENT_SALT: BootstrapFile("cred/agent-token.salt", rotatable=False, always=False),
}
"""Key of the map -> file. All but the last are RKE2's, which reads past what it does not know."""

ROTATABLE = tuple(key for key, file in FILES.items() if file.rotatable)
"""Authorities and the keys of service accounts."""

UNKNOWN_TIME = 0
"""`BootstrapEntry.modified_ns` of content in the legacy format, which has no timestamps."""


@dataclass(frozen=True)
class BootstrapEntry:
    """Content of one file and its modification time in nanoseconds since the epoch."""

    content: bytes
    modified_ns: int = UNKNOWN_TIME


@dataclass(frozen=True)
class BootstrapData:
    """The map: key of `FILES` -> entry. Keys that this release does not know are not kept."""

    entries: Mapping[str, BootstrapEntry]

    @classmethod
    def read(cls, server: Path, *, complain: bool = True) -> BootstrapData:
        """The files below `server` (``<dd>/server``) that exist; missing and empty ones are left out.

        Args:
            complain: warn of those.

        Raises:
            PKIError: a file cannot be read.
            OSError: likewise.
        """
        entries = {key: entry for key, file in FILES.items() if (entry := _read(server / file.path))}
        missing = [file.path for key, file in FILES.items() if file.always and key not in entries]
        if missing and complain:
            log.warning(
                "Not shared with other servers, because missing in %s: %s", server, ", ".join(missing)
            )
        return cls(entries)

    @classmethod
    def from_json(cls, text: bytes) -> BootstrapData:
        """Parse the map, in the legacy format without timestamps, too.

        Raises:
            JoinError: it is something else.
        """
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise ValueError("it is not a JSON object")
            # Of the keys in FILES alone: an answer cannot have other files written.
            return cls({key: _decode(document[key]) for key in FILES if document.get(key) not in (None, "")})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise JoinError(f"the bootstrap data is not readable: {_reason(error)}") from error

    def to_json(self) -> bytes:
        """The map as it goes over the wire and, encrypted, into etcd."""
        document = {
            key: {
                "Timestamp": format_timestamp(entry.modified_ns),
                "Content": base64.b64encode(entry.content).decode(),
            }
            for key, entry in self.entries.items()
        }
        return json.dumps(document, separators=(",", ":")).encode()

    def write(self, server: Path) -> list[Path]:
        """Put every entry into its file below `server`, with the entry's modification time.

        Keys come first: who is killed in between leaves no certificate without its key, which the next start
        would refuse before it asks the cluster again.

        Returns:
            The files whose content changed.

        Raises:
            OSError: a file cannot be written.
        """
        ensure_dir(server, 0o700)
        changed = []
        # A stable sort: among the rest the encryption configuration
        # stays before the state, which has its hash.
        for key in sorted(self.entries, key=lambda key: not FILES[key].path.endswith(".key")):
            entry, path = self.entries[key], server / FILES[key].path
            ensure_dir(path.parent.parent, 0o700)
            ensure_dir(path.parent, 0o700)
            if write_atomic(path, entry.content, 0o600, durable=True):
                changed.append(path)
            if entry.modified_ns != UNKNOWN_TIME:
                # The cluster's time, not this machine's: where that clock is ahead the file would count as
                # newer than what the cluster changes next, and would end a start (`rke2.join.reconcile`).
                os.utime(path, ns=(entry.modified_ns, entry.modified_ns))
        return changed


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _read(path: Path) -> BootstrapEntry | None:
    content = read_file(path)
    return BootstrapEntry(content, path.stat().st_mtime_ns) if content else None


def _decode(value: Any) -> BootstrapEntry:
    if isinstance(value, str):
        return BootstrapEntry(_content(value))
    if not isinstance(value, dict):
        raise ValueError("an entry is neither an object nor text")
    return BootstrapEntry(_content(value["Content"]), parse_timestamp(value["Timestamp"]))


def _content(text: str) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except binascii.Error as error:
        raise ValueError(f"an entry is not base64: {error}") from None


# --- timestamps ------------------------------------------------------------------------------------
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_BILLION = 10**9


def format_timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with as many digits as needed, as Go writes a time in JSON."""
    seconds, fraction = divmod(nanoseconds, _BILLION)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the epoch; Go's zero time (year 1) and everything else before the epoch is `UNKNOWN_TIME`.

    Raises:
        ValueError: `text` is no RFC 3339 time.
    """
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a timestamp")
    date, time, fraction, zone = match.groups()
    instant = datetime.fromisoformat(f"{date}T{time}{'+00:00' if zone == 'Z' else zone}")
    seconds = round((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    return max(UNKNOWN_TIME, seconds * _BILLION + int((fraction or "0").ljust(9, "0")))
