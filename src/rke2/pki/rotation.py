"""``rke2 certificate rotate``: certificates and keys set aside; the next start makes new ones (day2 reference §5.2)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.host.files import ensure_dir
from rke2.pki.services import LISTENER, files

log = logging.getLogger(__name__)

REGENERATE = "dynamic-cert-regenerate"
"""Marker in ``<server>/tls``: forget the certificate of port 9345 and the names it has gained."""


def rotate(paths: Paths, services: Iterable[str], now: datetime) -> Path:
    """Copy certificates and keys of `services` to a directory of their own, then delete them.

    Only what has been copied is deleted. The marker that has all static pods begun again goes first: with files
    deleted and no marker, pods would hold on to the old ones.

    Returns:
        The directory with the copies: the whole of ``<server>/tls`` and the agent's files of `services`.

    Raises:
        OSError: a file cannot be copied or deleted; nothing was deleted if it could not be copied.
        HostError: a rotation was begun in this second already.
    """
    chosen = {service: tuple(files(service, paths)) for service in services}
    _mark(paths.force_restart)
    backup = _back_up(paths, chosen, now)
    if LISTENER in chosen:
        _mark(ensure_dir(paths.tls, 0o700) / REGENERATE)
        log.info("Rotating dynamic listener certificate")
    for service, found in chosen.items():
        if service != LISTENER:
            log.info("Rotating certificates for %s", service)
        for file in found:
            file.unlink(missing_ok=True)
    return backup


def _mark(path: Path) -> None:
    path.touch(0o600)
    path.chmod(0o600)


def _back_up(paths: Paths, chosen: Mapping[str, tuple[Path, ...]], now: datetime) -> Path:
    name = f"tls-{int(now.timestamp())}"
    on_server = paths.tls.is_dir()
    backup = (paths.server if on_server else paths.agent) / name
    if backup.exists():
        raise HostError(f"{backup} exists already", "wait a second and run the command again")
    if on_server:
        shutil.copytree(paths.tls, backup, symlinks=True)
    else:
        ensure_dir(backup, 0o700)
    for found in chosen.values():
        for file in found:
            if file.is_relative_to(paths.agent) and file.exists():
                shutil.copy2(file, _free(backup, file.name))
    return backup


def _free(backup: Path, name: str) -> Path:
    """Beside the server's; RKE2 writes over a server's file of the same name, which is lost then."""
    path = backup / name
    return ensure_dir(backup / "agent", 0o700) / name if path.exists() else path
