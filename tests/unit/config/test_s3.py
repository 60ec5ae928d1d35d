"""The flags of S3 at the start: what they say, and what cannot be meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rke2.cli.etcd_snapshot_options import read
from rke2.config.commandline import parse
from rke2.config.model import S3Settings
from rke2.config.s3 import s3_settings, store_of
from rke2.config.settings import gather
from rke2.errors import ConfigError


def of(tmp_path: Path, *argv: str, environ: dict[str, str] | None = None) -> S3Settings | None:
    (tmp_path / "config.yaml").write_text("")
    typed = parse("server", [f"--config={tmp_path}/config.yaml", *argv])
    return s3_settings(gather("server", typed, environ or {}))


GIVEN = {
    "endpoint": "h:1",
    "endpoint-ca": "/ca",
    "access-key": "a",
    "secret-key": "s",
    "session-token": "t",
    "bucket": "b",
    "bucket-lookup-type": "dns",
    "region": "r",
    "folder": "f",
    "proxy": "none",
    "config-secret": "c",
    "retention": "7",
    "timeout": "90s",
    "skip-ssl-verify": "true",
    "insecure": "true",
}
SAID = S3Settings("h:1", "/ca", True, "a", "s", "t", "b", "dns", "r", "f", "none", "c", True, 7, 90.0)


def said(prefix: str) -> list[str]:
    return [f"--{prefix}-{name}={value}" for name, value in GIVEN.items()]


def test_all_flags_say_something(tmp_path: Path) -> None:
    assert of(tmp_path, "--etcd-s3-bucket=b") is None
    assert of(tmp_path, "--etcd-s3", "--etcd-s3-config-secret=s") == S3Settings(config_secret="s")
    assert of(tmp_path, "--etcd-s3", *said("etcd-s3")) == SAID


def test_the_command_line_of_snapshots_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    typed = ["save", f"--config={tmp_path}/config.yaml", *said("s3")]
    assert store_of(read(typed, {})) == SAID


def test_keys_come_from_the_environment(tmp_path: Path) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    found = of(tmp_path, "--etcd-s3", "--etcd-s3-bucket=b", environ=environ)
    assert found == S3Settings(access_key="a", secret_key="s", session_token="t", bucket="b")


@pytest.mark.parametrize(
    ("argv", "kept"),
    [((), 5), (("--etcd-snapshot-retention=9",), 9),
     (("--etcd-snapshot-retention=9", "--etcd-s3-retention=5"), 5)],
)  # fmt: skip
def test_retention_follows_the_one_of_the_disk(tmp_path: Path, argv: tuple[str, ...], kept: int) -> None:
    found = of(tmp_path, "--etcd-s3", "--etcd-s3-bucket=b", *argv)
    assert found and found.retention == kept


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--etcd-s3",), "s3 bucket name was not set"),
        (
            ("--etcd-s3", "--etcd-s3-bucket=b", "--etcd-s3-timeout=0s"),
            "etcd-s3-timeout must be greater than 0s (remove etcd-s3-timeout, or give it a time such as 5m)",
        ),
        (
            ("--etcd-s3", "--etcd-s3-bucket=b", "--etcd-s3-bucket-lookup-type=x"),
            "expected one of auto, dns, path",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        of(tmp_path, *argv)
