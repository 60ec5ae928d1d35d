"""A snapshot in S3 as the operator names it for a restore."""

from __future__ import annotations

import pytest

from rke2.config.model import S3Settings
from rke2.errors import ConfigError
from rke2.snapshots.fetching import named_in_url


@pytest.mark.parametrize(
    ("url", "bucket", "folder", "name"),
    [
        ("s3://b/s-n-1", "b", "", "s-n-1"),
        ("s3://b/a/c/s-n-1.zip", "b", "a/c", "s-n-1.zip"),
    ],
)
def test_a_location_says_bucket_folder_and_name(url: str, bucket: str, folder: str, name: str) -> None:
    store = S3Settings(endpoint="h:1", bucket="of config.yaml", folder="too", access_key="a")
    expected = S3Settings(endpoint="h:1", bucket=bucket, folder=folder, access_key="a")
    assert named_in_url(store, url) == (expected, name)


@pytest.mark.parametrize("url", ["s3://b", "s3://b/", "s3://b/folder/", "s3:///name", "s3:name"])
def test_what_is_no_location_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the location of a snapshot"):
        named_in_url(S3Settings(endpoint="h:1"), url)


def test_the_rest_cannot_be_in_a_secret() -> None:
    """Its bucket would be replaced, and with it gone the Secret would not count: another store would be asked."""
    with pytest.raises(ConfigError, match="cannot use S3 config secret when restoring"):
        named_in_url(S3Settings(config_secret="keys"), "s3://b/s-n-1")
