"""The flags ``--s3-*`` of ``rke2 etcd-snapshot`` as the settings that a request carries to the server.

Paths of CAs and names of Secrets are the server's: nothing is read here.
"""

from __future__ import annotations

from rke2.cli.etcd_snapshot_options import Options
from rke2.config.model import S3Settings
from rke2.config.s3 import LOOKUPS
from rke2.errors import ConfigError


def store_of(options: Options) -> S3Settings:
    """The object store that the command line means.

    Raises:
        ConfigError: a value cannot be used.
    """
    return S3Settings(
        endpoint=options.text("s3-endpoint"),
        endpoint_ca=options.text("s3-endpoint-ca"),
        skip_verify=options.on("s3-skip-ssl-verify"),
        access_key=options.text("s3-access-key"),
        secret_key=options.text("s3-secret-key"),
        session_token=options.text("s3-session-token"),
        bucket=options.text("s3-bucket"),
        lookup=_lookup(options),
        region=options.text("s3-region"),
        folder=options.text("s3-folder"),
        proxy=options.text("s3-proxy"),
        config_secret=options.text("s3-config-secret"),
        insecure=options.on("s3-insecure"),
        retention=_retention(options),
        timeout=_timeout(options),
    )


def _lookup(options: Options) -> str:
    value = options.text("s3-bucket-lookup-type") or "auto"
    if value not in LOOKUPS:
        raise ConfigError(
            f"s3-bucket-lookup-type: invalid value {value!r}: expected one of {', '.join(LOOKUPS)}"
        )
    return value


def _retention(options: Options) -> int:
    """Its own number or, if only the one for the disk is given, that."""
    return options.number("s3-retention" if "s3-retention" in options.given else "snapshot-retention")


def _timeout(options: Options) -> float:
    timeout = options.values["s3-timeout"]
    assert isinstance(timeout, float)
    if timeout <= 0:
        raise ConfigError("etcd-s3-timeout must be greater than 0s")
    return timeout
