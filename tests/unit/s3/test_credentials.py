"""Who rke2 is to an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.credentials import credentials_of
from rke2.s3.signing import Credentials

FILE = "[default]\naws_access_key_id = d\naws_secret_access_key = s%s\n[other]\naws_access_key_id=o\n" \
    "aws_secret_access_key=t\naws_session_token=x\n[half]\naws_access_key_id=h\n"  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(FILE)
    return tmp_path


def test_what_is_configured_comes_first(home: Path) -> None:
    given = S3Settings(access_key="a", secret_key="b", session_token="c")
    assert credentials_of(given, {"HOME": str(home)}) == Credentials("a", "b", "c")


def test_then_the_file(home: Path) -> None:
    environ = {"HOME": str(home)}
    assert credentials_of(S3Settings(), environ) == Credentials("d", "s%s")
    assert credentials_of(S3Settings(), {**environ, "AWS_PROFILE": "other"}) == Credentials("o", "t", "x")
    moved = {"AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws/credentials")}
    assert credentials_of(S3Settings(), moved).access_key == "d"


@pytest.mark.parametrize(
    ("settings", "environ", "words"),
    [
        (S3Settings(access_key="a"), {}, "etcd-s3-secret-key is missing"),
        (S3Settings(secret_key="a"), {}, "etcd-s3-access-key is missing"),
        (S3Settings(), {"HOME": "/nowhere"}, "no access key is set"),
        (S3Settings(), {"AWS_PROFILE": "half"}, "has no aws_secret_access_key"),
        (S3Settings(), {"AWS_PROFILE": "none"}, "has no none"),
    ],
)
def test_what_is_missing_is_told(
    home: Path, settings: S3Settings, environ: dict[str, str], words: str
) -> None:
    with pytest.raises(S3Error, match=f"failed to get credentials: .*{words}"):
        credentials_of(settings, {"HOME": str(home), **environ})


def test_a_file_that_cannot_be_read_is_told(home: Path) -> None:
    (home / ".aws/credentials").write_text("no section\n")
    with pytest.raises(S3Error, match=r"failed to get credentials: .*/\.aws/credentials"):
        credentials_of(S3Settings(), {"HOME": str(home)})
