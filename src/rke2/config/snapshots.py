"""The flags ``etcd-snapshot-*``: checked at the start, where RKE2 goes on without scheduled snapshots in silence."""

from __future__ import annotations

import re
from pathlib import Path

from rke2.config.model import SnapshotSettings
from rke2.config.s3 import s3_settings
from rke2.config.schedule import parse_schedule
from rke2.config.settings import Settings
from rke2.errors import ConfigError

LONGEST_NAME = 128
"""Characters of a base name; node name, time and suffix have to fit into a file name, too."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def is_base_name(text: str) -> bool:
    """Whether `text` may begin the file names of snapshots: one plain part of a path, not hidden."""
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


NAME_RULE = f"letters, digits, '.', '_' and '-' only, not beginning with '.' or '-', at most {LONGEST_NAME}"


def snapshot_settings(settings: Settings) -> SnapshotSettings:
    """The scheduled snapshots of a server.

    Raises:
        ConfigError: a value cannot be used; names the flag.
    """
    return SnapshotSettings(
        disabled=settings.on("etcd-disable-snapshots"),
        name=_name(settings),
        schedule=_schedule(settings, "etcd-snapshot-schedule-cron"),
        retention=settings.number("etcd-snapshot-retention"),
        directory=_directory(settings),
        compress=settings.on("etcd-snapshot-compress"),
        compression=settings.text("etcd-snapshot-compression"),
        restrictions=settings.on("etcd-snapshot-restrictions"),
        reconcile_interval=_interval(settings),
        verify_schedule=_verify_schedule(settings),
        s3=s3_settings(settings),
    )


def _name(settings: Settings) -> str:
    name = settings.text("etcd-snapshot-name")
    if not is_base_name(name):
        raise settings.invalid("etcd-snapshot-name", name, f"not a valid base name: {NAME_RULE}")
    return name


def _verify_schedule(settings: Settings) -> str:
    flag = "etcd-snapshot-verify-schedule-cron"
    return _schedule(settings, flag) if settings.text(flag) else ""


def _schedule(settings: Settings, flag: str) -> str:
    text = settings.text(flag)
    try:
        parse_schedule(text)
    except ValueError as error:
        raise settings.invalid(
            flag,
            text,
            f"not a valid cron expression: {error}",
            "write it like '0 */12 * * *', '@every 6h' or 'CRON_TZ=Europe/Berlin 0 3 * * *'",
        ) from None
    return text


def _directory(settings: Settings) -> Path | None:
    text = settings.text("etcd-snapshot-dir")
    if text and not Path(text).is_absolute():
        raise settings.invalid("etcd-snapshot-dir", text, "not an absolute path")
    return Path(text) if text else None


def _interval(settings: Settings) -> float:
    value = settings.seconds("etcd-snapshot-reconcile-interval")
    if value <= 0:
        raise ConfigError("etcd-snapshot-reconcile-interval must be greater than 0s")
    return value
