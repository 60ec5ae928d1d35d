"""The flags of a cluster reset, in RKE2's words (day2 reference §4.1)."""

from __future__ import annotations

from pathlib import Path

from rke2.config.model import ResetSettings
from rke2.config.paths import Paths
from rke2.config.settings import Settings
from rke2.errors import ConfigError


def reset_settings(settings: Settings, paths: Paths) -> ResetSettings | None:
    """What is to be reset; None if nothing is.

    Raises:
        ConfigError: the flags contradict each other, or the token that a restore needs is missing.
    """
    restore = settings.text("cluster-reset-restore-path")
    if not settings.on("cluster-reset"):
        if restore:
            raise ConfigError(
                "invalid flag use; --cluster-reset required with --cluster-reset-restore-path",
                "add --cluster-reset, or remove --cluster-reset-restore-path after the restore",
            )
        return None
    if settings.text("server"):
        raise ConfigError(
            "cannot perform cluster-reset while server URL is set - remove server from configuration before resetting"
        )
    if settings.on("disable-etcd"):
        raise ConfigError(
            "cluster-reset needs an etcd member, and disable-etcd is set", "run it on a server with etcd"
        )
    _check_token(settings, paths, restore)
    return ResetSettings(Path(restore) if restore else None)


def _check_token(settings: Settings, paths: Paths, restore: str) -> None:
    given = settings.text("token") or settings.text("token-file")
    if restore and not given and not paths.token.exists():
        raise ConfigError(
            f"{paths.token} does not exist, please pass --token to complete the restoration",
            "it is what server/token was on a server of the cluster that the snapshot is of",
        )
