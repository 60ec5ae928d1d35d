"""``rke2 certificate rotate-ca``: other certificate authorities for the cluster (day2 reference §5.3).

::

    request ──▶ can a server start with it? ──▶ do those who know the former trust it? ──▶ bootstrap data in etcd
                  │ no: refused                   │ no: refused, unless forced               │
                                                      each server takes it over when it is started next

Nothing is written to the disk but the marker by which port 9345 gets a new certificate. What is compared with
is this server's disk, as in RKE2: a rotation that no server has taken over yet can be taken back, by a request with
the former files.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import PKIError
from rke2.host.files import write_atomic
from rke2.join.bootstrap import FILES, ROTATABLE, BootstrapData, BootstrapEntry
from rke2.join.store import BootstrapStore, KeyStore
from rke2.pki.pem import parse_certificates, parse_key, read_file
from rke2.pki.rotation import REGENERATE
from rke2.pki.succession import check_service_keys, check_successor, check_usable, cross_signed_first

log = logging.getLogger(__name__)

_SERVICE = "ServiceKey"
_AUTHORITIES = tuple(key for key in ROTATABLE if key.endswith("CA"))

Contents = Mapping[str, bytes]
"""Key of the bootstrap data -> content of its file; empty where there is none."""


class AuthorityRotation:
    """A server's part in it.

    Args:
        paths: of its files.
        etcd: its own member, or through a load balancer those of others.
    """

    def __init__(self, paths: Paths, etcd: KeyStore) -> None:
        self._paths, self._etcd = paths, etcd
        self._lock = asyncio.Lock()

    async def rotate(self, wanted: BootstrapData, *, force: bool) -> None:
        """Have every server take over the authorities and keys of `wanted` at its next start.

        Args:
            wanted: what it does not have stays as it is on this server.
            force: also if those who know the former authorities do not trust the new ones.

        Raises:
            PKIError: no server could start with them, or, unless forced, they cannot follow those in use; nothing
                was changed.
            JoinError, EtcdError: the bootstrap data cannot be changed.
            OSError: a file cannot be read or written.
        """
        async with self._lock:
            contents = await asyncio.to_thread(self._decide, wanted, force)
            token = (await asyncio.to_thread(self._paths.token.read_text)).strip()
            await BootstrapStore(self._etcd, token).change(lambda data: exchanged(data, contents))
            await asyncio.to_thread(write_atomic, self._paths.tls / REGENERATE, b"", 0o600)
        log.info("certificate: Cluster Certificate Authority data has been updated, rke2 must be restarted.")

    def _decide(self, wanted: BootstrapData, force: bool) -> Contents:
        """What the cluster is to have, proven as far as is asked for."""
        former = {key: read_file(self._paths.server / FILES[key].path) or b"" for key in ROTATABLE}
        new = {key: _sent(wanted, key) or former[key] for key in ROTATABLE}
        if problems := _unusable(former, new):
            raise _invalid(problems)
        problems = _unproven(former, new)
        if problems and not force:
            raise _invalid(problems)
        if problems:
            log.warning(
                "Save of CA certificates and keys forced, ignoring validation errors: %s", "; ".join(problems)
            )
        return {key: _in_order(key, content) for key, content in new.items()}


def exchanged(data: BootstrapData, contents: Contents) -> BootstrapData:
    """`data` with `contents`.

    What is another gets the time of now: a server whose file is newer than the cluster's does not start.
    """
    now = time.time_ns()
    changed = {
        key: BootstrapEntry(content, now)
        for key, content in contents.items()
        if content and (key not in data.entries or data.entries[key].content != content)
    }
    return replace(data, entries={**data.entries, **changed})


def _sent(wanted: BootstrapData, key: str) -> bytes:
    entry = wanted.entries.get(key)
    if entry is None or not entry.content:
        log.info("Using current data for %s: it was not sent", key)
        return b""
    return entry.content


# --- what is wrong with them -----------------------------------------------------------------------
def _unusable(former: Contents, new: Contents) -> list[str]:
    """What would keep every server from starting."""
    pairs = {key: (key, f"{key}Key") for key in _AUTHORITIES} | {_SERVICE: (_SERVICE,)}
    checks = {key: partial(_check_pair, new, *pair) for key, pair in pairs.items()}
    return _problems((key, checks[key]) for key, pair in pairs.items() if _differ(former, new, pair))


def _check_pair(new: Contents, first: str, key: str = "") -> None:
    if key:
        check_usable(parse_certificates(_path(first), new[first]), parse_key(_path(key), new[key]))
    else:
        parse_key(_path(first), new[first])


def _unproven(former: Contents, new: Contents) -> list[str]:
    """What those do not trust who know the former ones."""
    replaced = (key for key in (*_AUTHORITIES, _SERVICE) if former[key] and former[key] != new[key])
    return _problems((key, partial(_check_successor, key, former[key], new[key])) for key in replaced)


def _check_successor(key: str, former: bytes, new: bytes) -> None:
    if key == _SERVICE:
        check_service_keys(_path(key), former, new)
    else:
        check_successor(*(parse_certificates(_path(key), pem) for pem in (former, new)))


def _differ(former: Contents, new: Contents, keys: Iterable[str]) -> bool:
    return any(former[key] != new[key] for key in keys)


def _problems(checks: Iterable[tuple[str, Callable[[], None]]]) -> list[str]:
    found = []
    for key, check in checks:
        try:
            check()
        except PKIError as error:
            found.append(f"{key}: {error.message}")
    return found


def _invalid(problems: list[str]) -> PKIError:
    return PKIError(f"failed to validate new CA certificates and keys: {'; '.join(problems)}")


def _in_order(key: str, content: bytes) -> bytes:
    return cross_signed_first(parse_certificates(_path(key), content)) if key in _AUTHORITIES else content


def _path(key: str) -> Path:
    """As the operator knows the file: below the directory that was named."""
    return Path(FILES[key].path)
