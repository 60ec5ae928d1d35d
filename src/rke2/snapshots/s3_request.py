"""An object store in a request's ``s3`` (day2 reference §3.2), under the names of RKE2's client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rke2.config.model import S3Settings
from rke2.config.s3 import TIMEOUT_RULE
from rke2.config.values import parse_duration
from rke2.kube.duration import format_duration
from rke2.snapshots.request import SnapshotRequestError

NAMES: Mapping[str, str] = {
    "endpoint": "endpoint",
    "endpointCA": "endpoint_ca",
    "skipSSLVerify": "skip_verify",
    "accessKey": "access_key",
    "secretKey": "secret_key",
    "sessionToken": "session_token",
    "bucket": "bucket",
    "bucketLookup": "lookup",
    "region": "region",
    "folder": "folder",
    "proxy": "proxy",
    "configSecret": "config_secret",
    "insecure": "insecure",
    "retention": "retention",
    "timeout": "timeout",
}
"""Field of the request, and of the settings."""

_TYPES = {each.name: type(each.default) for each in fields(S3Settings)}


def parse(given: Mapping[str, Any]) -> S3Settings:
    """The settings in a request; what is absent or empty has its default.

    Raises:
        SnapshotRequestError: a field has another type.
    """
    values = {field: _value(name, field, given[name]) for name, field in NAMES.items() if given.get(name)}
    return S3Settings(**values)


def _value(name: str, field: str, value: Any) -> Any:
    if field == "timeout":
        return _seconds(value)
    if not isinstance(value, _TYPES[field]):
        raise SnapshotRequestError(
            f"failed to initialize S3 client: s3.{name} is not a {_TYPES[field].__name__}"
        )
    return value


def _seconds(value: Any) -> float:
    """A duration of Kubernetes: a text, such as ``5m0s``."""
    try:
        seconds = parse_duration(str(value))
    except ValueError as error:
        raise SnapshotRequestError(f"failed to initialize S3 client: s3.timeout {value!r}: {error}") from None
    if seconds <= 0:
        raise SnapshotRequestError(TIMEOUT_RULE)
    return seconds


def document(settings: S3Settings) -> dict[str, Any]:
    """`settings` as a request has them."""
    found = {name: getattr(settings, field) for name, field in NAMES.items()}
    found["timeout"] = format_duration(settings.timeout)
    return {name: value for name, value in found.items() if value}
