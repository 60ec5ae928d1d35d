"""The flags ``etcd-s3-*`` of a server: checked at the start where that is possible without the store."""

from __future__ import annotations

from rke2.config.model import S3Settings
from rke2.config.settings import DEFAULT, Settings
from rke2.errors import ConfigError

LOOKUPS = ("auto", "dns", "path")


def s3_settings(settings: Settings) -> S3Settings | None:
    """Where snapshots are copied to; None without ``etcd-s3``.

    Raises:
        ConfigError: a value cannot be used, or there is nothing that says which bucket is meant.
    """
    if not settings.on("etcd-s3"):
        return None
    timeout = settings.by_name["etcd-s3-timeout"].value
    assert isinstance(timeout, float)
    if timeout <= 0:
        raise ConfigError("etcd-s3-timeout must be greater than 0s")
    if not settings.text("etcd-s3-bucket") and not settings.text("etcd-s3-config-secret"):
        raise ConfigError(
            "etcd-s3 is set, and s3 bucket name was not set",
            "set etcd-s3-bucket, or name a Secret that has it with etcd-s3-config-secret",
        )
    return S3Settings(
        endpoint=settings.text("etcd-s3-endpoint"),
        endpoint_ca=settings.text("etcd-s3-endpoint-ca"),
        skip_verify=settings.on("etcd-s3-skip-ssl-verify"),
        access_key=settings.text("etcd-s3-access-key"),
        secret_key=settings.text("etcd-s3-secret-key"),
        session_token=settings.text("etcd-s3-session-token"),
        bucket=settings.text("etcd-s3-bucket"),
        lookup=_lookup(settings),
        region=settings.text("etcd-s3-region"),
        folder=settings.text("etcd-s3-folder"),
        proxy=settings.text("etcd-s3-proxy"),
        config_secret=settings.text("etcd-s3-config-secret"),
        insecure=settings.on("etcd-s3-insecure"),
        retention=_retention(settings),
        timeout=timeout,
    )


def _lookup(settings: Settings) -> str:
    value = settings.text("etcd-s3-bucket-lookup-type") or "auto"
    if value not in LOOKUPS:
        raise settings.invalid("etcd-s3-bucket-lookup-type", value, f"expected one of {', '.join(LOOKUPS)}")
    return value


def _retention(settings: Settings) -> int:
    """Its own number or, if only the one for the disk is set, that."""
    own = settings.by_name["etcd-s3-retention"].source != DEFAULT
    return settings.number("etcd-s3-retention" if own else "etcd-snapshot-retention")
