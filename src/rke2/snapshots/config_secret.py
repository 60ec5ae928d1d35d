"""``etcd-s3-config-secret``: the settings of an object store in a Secret of kube-system, whose keys are names of flags.

Read for each operation, so that keys are exchanged without a restart. It does not have to be there at the start.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rke2.config.model import NodeConfig, S3Settings
from rke2.config.values import parse_bool, parse_duration, parse_int
from rke2.errors import RKE2Error, S3Error
from rke2.kube.client import Client
from rke2.kube.resources import CONFIG_MAPS, SECRETS

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
SECONDS = 15.0
CA_NAME = "etcd-s3-endpoint-ca-name"

_TEXTS: Mapping[str, str] = {
    "etcd-s3-access-key": "access_key",
    "etcd-s3-secret-key": "secret_key",
    "etcd-s3-session-token": "session_token",
    "etcd-s3-bucket": "bucket",
    "etcd-s3-bucket-lookup-type": "lookup",
    "etcd-s3-endpoint": "endpoint",
    "etcd-s3-endpoint-ca": "endpoint_ca_pem",
    "etcd-s3-region": "region",
    "etcd-s3-folder": "folder",
    "etcd-s3-proxy": "proxy",
}
_PARSED: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "etcd-s3-timeout": ("timeout", parse_duration),
    "etcd-s3-retention": ("retention", parse_int),
    "etcd-s3-skip-ssl-verify": ("skip_verify", parse_bool),
    "etcd-s3-insecure": ("insecure", parse_bool),
}


async def effective(config: NodeConfig, settings: S3Settings) -> S3Settings:
    """`settings`, or what their Secret holds if they say nothing else, as in RKE2.

    Raises:
        S3Error: they say nothing at all, or the Secret cannot be read.
    """
    require_set(settings)
    name = settings.config_secret
    if settings.in_secret:
        log.info('Using etcd s3 configuration from etcd-s3-config-secret "%s"', name)
        return await _read(config, name, settings)
    if name:
        log.warning(
            'Ignoring s3 configuration from etcd-s3-config-secret "%s" due to existing configuration from CLI or'
            " config file",
            name,
        )
    return settings


def require_set(settings: S3Settings) -> None:
    """Refuse settings that say neither which store is meant nor which Secret names it.

    Raises:
        S3Error: so they do.
    """
    if settings.is_default and not settings.config_secret:
        raise S3Error(
            "s3 configuration was not set",
            "set etcd-s3-bucket and what goes with it, or etcd-s3-config-secret",
        )


async def _read(config: NodeConfig, name: str, settings: S3Settings) -> S3Settings:
    try:
        async with (
            asyncio.timeout(SECONDS),
            Client(config.paths.supervisor_kubeconfig, "rke2", config.node.name) as client,
        ):
            secret = await client.get(SECRETS, name, NAMESPACE)
            data = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}
            found = parse(data, name, settings)
            if authority := data.get(CA_NAME):
                bundle = await client.get(CONFIG_MAPS, authority, NAMESPACE)
                found = replace(found, endpoint_ca_pem=found.endpoint_ca_pem + _bundles(bundle))
    except (RKE2Error, OSError, TimeoutError) as error:
        reason = str(error) or "the API server does not answer"
        raise S3Error(
            f'failed to get config from etcd-s3-config-secret "{name}": failed to get etcd S3 config secret: {reason}',
            f"see `kubectl -n {NAMESPACE} get secret {name}`",
        ) from error
    return found


def parse(data: Mapping[str, str], name: str, settings: S3Settings) -> S3Settings:
    """The settings in a Secret; a value that cannot be read is told, and has its default.

    Args:
        data: decoded.
        name: of the Secret, for messages.
        settings: what its defaults are: `S3Settings.retention` may come from a flag.
    """
    values: dict[str, Any] = {field: data[key] for key, field in _TEXTS.items() if data.get(key)}
    for key, (field, read) in _PARSED.items():
        try:
            values |= {field: read(data[key])} if data.get(key) else {}
        except ValueError as error:
            log.warning("Failed to parse %s value from S3 config secret %s: %s", key, name, error)
    return replace(settings, **values, config_secret="")


def _bundles(config_map: Mapping[str, Any]) -> str:
    binary = (_decoded(value) for value in (config_map.get("binaryData") or {}).values())
    return "\n".join(["", *map(str, (config_map.get("data") or {}).values()), *binary, ""])


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
