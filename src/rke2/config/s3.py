"""The flags of an object store: ``etcd-s3-*`` of a server, ``--s3-*`` of ``rke2 etcd-snapshot``.

They are checked where that is possible without the store. Paths of CAs and names of Secrets are the server's: nothing
is read here.
"""

from __future__ import annotations

from typing import Protocol

from rke2.config.model import S3Settings
from rke2.config.settings import Settings
from rke2.errors import ConfigError

LOOKUPS = ("auto", "dns", "path")
TIMEOUT_RULE = "etcd-s3-timeout must be greater than 0s"
"""RKE2's words, of a flag and of a request."""


class Flags(Protocol):
    """The values of flags, wherever they were read."""

    def text(self, name: str) -> str: ...
    def on(self, name: str) -> bool: ...
    def number(self, name: str) -> int: ...
    def seconds(self, name: str) -> float: ...
    def is_given(self, name: str) -> bool: ...
    def invalid(self, name: str, value: object, reason: str, remedy: str = "") -> ConfigError: ...


def s3_settings(settings: Settings) -> S3Settings | None:
    """Where snapshots of a server are copied to; None without ``etcd-s3``.

    Raises:
        ConfigError: a value cannot be used, or there is nothing that says which bucket is meant.
    """
    if not settings.on("etcd-s3"):
        return None
    found = store_of(settings, "etcd-")
    if not found.bucket and not found.config_secret:
        raise ConfigError(
            "etcd-s3 is set, and s3 bucket name was not set",
            "set etcd-s3-bucket, or name a Secret that has it with etcd-s3-config-secret",
        )
    return found


def store_of(flags: Flags, prefix: str = "") -> S3Settings:
    """The object store that `flags` mean.

    Args:
        prefix: what the names of the flags have in front of ``s3-``.

    Raises:
        ConfigError: a value cannot be used.
    """
    s3 = f"{prefix}s3"
    return S3Settings(
        endpoint=flags.text(f"{s3}-endpoint"),
        endpoint_ca=flags.text(f"{s3}-endpoint-ca"),
        skip_verify=flags.on(f"{s3}-skip-ssl-verify"),
        access_key=flags.text(f"{s3}-access-key"),
        secret_key=flags.text(f"{s3}-secret-key"),
        session_token=flags.text(f"{s3}-session-token"),
        bucket=flags.text(f"{s3}-bucket"),
        lookup=_lookup(flags, f"{s3}-bucket-lookup-type"),
        region=flags.text(f"{s3}-region"),
        folder=flags.text(f"{s3}-folder"),
        proxy=flags.text(f"{s3}-proxy"),
        config_secret=flags.text(f"{s3}-config-secret"),
        insecure=flags.on(f"{s3}-insecure"),
        retention=_retention(flags, f"{s3}-retention", f"{prefix}snapshot-retention"),
        timeout=_timeout(flags, f"{s3}-timeout"),
    )


def _lookup(flags: Flags, name: str) -> str:
    value = flags.text(name) or "auto"
    if value not in LOOKUPS:
        raise flags.invalid(name, value, f"expected one of {', '.join(LOOKUPS)}")
    return value


def _retention(flags: Flags, own: str, of_disk: str) -> int:
    """Its own number or, if only the one for the disk is given, that."""
    return flags.number(own if flags.is_given(own) else of_disk)


def _timeout(flags: Flags, name: str) -> float:
    timeout = flags.seconds(name)
    if timeout <= 0:
        raise ConfigError(TIMEOUT_RULE, f"remove {name}, or give it a time such as 5m")
    return timeout
