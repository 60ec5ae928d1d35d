"""Where a bucket is: its name in the path, or in front of the host's."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.signing import encode_path

_AMAZON = "s3.amazonaws.com"
_BY_NAME = ("amazonaws.com", "aliyuncs.com", "storage.googleapis.com")
"""Stores whose buckets have host names of their own."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A bucket's URL without the key.

    Args:
        host: as in the Host header.
        prefix: what comes before the key in the path, not encoded; ``/`` or ``/<bucket>/``.
    """

    scheme: str
    host: str
    prefix: str

    def path(self, key: str) -> str:
        """The path of an object, or with an empty key of the bucket, as it stands in a URL."""
        return encode_path(self.prefix + key)

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://{self.host}"


def address_of(settings: S3Settings) -> Address:
    """The address of the bucket.

    Raises:
        S3Error: the endpoint is not a host, or the bucket's name is missing.
    """
    if not settings.bucket:
        raise S3Error("s3 bucket name was not set", "set etcd-s3-bucket")
    scheme = "http" if settings.insecure else "https"
    host = _host(settings, scheme)
    if _in_host_name(settings, host):
        return Address(scheme, f"{settings.bucket}.{host}", "/")
    return Address(scheme, host, f"/{settings.bucket}/")


def _host(settings: S3Settings, scheme: str) -> str:
    endpoint = settings.endpoint
    try:
        parts = urlsplit(f"//{endpoint}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        name, port = "", None
    if not name or parts.netloc != endpoint or parts.username is not None:
        raise S3Error(
            f"etcd-s3-endpoint {endpoint!r} is not a host",
            "write <host> or <host>:<port>, without https:// and without a path; etcd-s3-insecure means http",
        )
    if name == _AMAZON and settings.region != "us-east-1":
        # The endpoint without a region knows a bucket elsewhere by a redirect only, which cannot be signed for.
        name = f"s3.{settings.region}.amazonaws.com"
    name = f"[{name}]" if ":" in name else name
    return name if port in (None, _PORTS[scheme]) else f"{name}:{port}"


def _in_host_name(settings: S3Settings, host: str) -> bool:
    if settings.lookup in ("dns", "path"):
        return settings.lookup == "dns"
    if "aliyun" in settings.endpoint:
        return True
    dotted = "." in settings.bucket and not settings.insecure  # no certificate is of such a name
    return not dotted and host.partition(":")[0].endswith(_BY_NAME)
