"""An object store in a request, and in a Secret."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.config.model import S3Settings
from rke2.snapshots import config_secret, s3_request
from rke2.snapshots.request import SnapshotRequestError

WORDS = st.text(max_size=8)
SETTINGS = st.builds(
    S3Settings,
    bucket=WORDS,
    access_key=WORDS,
    secret_key=WORDS,
    session_token=WORDS,
    folder=WORDS,
    proxy=WORDS,
    insecure=st.booleans(),
    skip_verify=st.booleans(),
    retention=st.integers(1, 99),
    timeout=st.integers(1, 10**6).map(float),
)


@given(SETTINGS)
def test_a_request_is_read_back(settings: S3Settings) -> None:
    assert s3_request.parse(s3_request.document(settings)) == settings


def test_a_request_has_the_names_of_rke2_and_nothing_empty() -> None:
    settings = S3Settings(bucket="b", access_key="a", secret_key="s", skip_verify=True, endpoint_ca="ca")
    assert s3_request.document(settings) == {
        "endpoint": "s3.amazonaws.com",
        "endpointCA": "ca",
        "skipSSLVerify": True,
        "accessKey": "a",
        "secretKey": "s",
        "bucket": "b",
        "bucketLookup": "auto",
        "region": "us-east-1",
        "retention": 5,
        "timeout": "5m0s",
    }


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"bucket": 7}, "s3.bucket is not a str"),
        ({"insecure": "yes"}, "s3.insecure is not a bool"),
        ({"retention": "five"}, "s3.retention is not a int"),
        ({"timeout": 300}, "s3.timeout 300: "),
        ({"timeout": "-1s"}, "etcd-s3-timeout must be greater than 0s"),
    ],
)
def test_a_field_of_another_type_is_refused(given_: dict[str, object], words: str) -> None:
    with pytest.raises(SnapshotRequestError, match=words):
        s3_request.parse(given_)


def test_a_secret_has_the_names_of_the_flags(caplog: pytest.LogCaptureFixture) -> None:
    data = {
        "etcd-s3-bucket": "b",
        "etcd-s3-access-key": "a",
        "etcd-s3-endpoint-ca": "PEM",
        "etcd-s3-insecure": "true",
        "etcd-s3-timeout": "soon",
        "etcd-s3-retention": "7",
        "etcd-s3-folder": "",
        "other": "x",
    }
    given_ = S3Settings(config_secret="s", retention=9)
    with caplog.at_level(logging.WARNING):
        found = config_secret.parse(data, "s", given_)
    expected = S3Settings(bucket="b", access_key="a", endpoint_ca_pem="PEM", insecure=True, retention=7)
    assert found == expected
    assert "Failed to parse etcd-s3-timeout value from S3 config secret s: " in caplog.text
    assert config_secret.parse({"etcd-s3-bucket": "b"}, "s", given_).retention == 9


def test_only_a_name_and_a_retention_leave_it_to_the_secret() -> None:
    assert S3Settings(config_secret="s", retention=3).is_default
    for name, value in (("bucket", "b"), ("insecure", True), ("timeout", 1.0), ("access_key", "a")):
        assert not replace(S3Settings(config_secret="s"), **{name: value}).is_default  # type: ignore[arg-type]


def test_keys_are_not_shown() -> None:
    shown = repr(S3Settings(access_key="a", secret_key="hidden", session_token="hidden"))
    assert "hidden" not in shown
