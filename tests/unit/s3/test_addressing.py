"""Where a bucket is asked for."""

from __future__ import annotations

import pytest

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.addressing import address_of


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (S3Settings(bucket="b"), "https://b.s3.amazonaws.com/k"),
        (S3Settings(bucket="b", region="eu-central-1"), "https://b.s3.eu-central-1.amazonaws.com/k"),
        (S3Settings(bucket="b.c"), "https://s3.amazonaws.com/b.c/k"),
        (S3Settings(bucket="b", lookup="path"), "https://s3.amazonaws.com/b/k"),
        (S3Settings(bucket="b", endpoint="minio.example.org:9000"), "https://minio.example.org:9000/b/k"),
        (S3Settings(bucket="b", endpoint="minio:443", lookup="dns"), "https://b.minio/k"),
        (S3Settings(bucket="b", endpoint="minio:80", insecure=True), "http://minio/b/k"),
        (S3Settings(bucket="b", endpoint="[fd00::1]:9000"), "https://[fd00::1]:9000/b/k"),
        (S3Settings(bucket="b", endpoint="oss.aliyuncs.com"), "https://b.oss.aliyuncs.com/k"),
        (S3Settings(bucket="b", endpoint="aliyun.example.org"), "https://b.aliyun.example.org/k"),
    ],
)
def test_the_bucket_is_in_path_or_host(settings: S3Settings, url: str) -> None:
    address = address_of(settings)
    assert address.endpoint + address.path("k") == url


def test_keys_are_encoded_once() -> None:
    address = address_of(S3Settings(bucket="b", endpoint="h"))
    assert address.path("a b/ü+%2F~") == "/b/a%20b/%C3%BC%2B%252F~"


@pytest.mark.parametrize("endpoint", ["https://h", "h/path", "", "u:p@h", "h:port", "h:99999", "h?x", "h#x"])
def test_an_endpoint_is_a_host(endpoint: str) -> None:
    with pytest.raises(S3Error, match="is not a host"):
        address_of(S3Settings(bucket="b", endpoint=endpoint))


def test_a_bucket_is_needed() -> None:
    with pytest.raises(S3Error, match="s3 bucket name was not set"):
        address_of(S3Settings())
