"""Who rke2 is to an object store: the first of the keys that are configured, and ``~/.aws/credentials``."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.signing import Credentials

_NEEDED = (
    "set etcd-s3-access-key and etcd-s3-secret-key (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), name a Secret with"
    " etcd-s3-config-secret, or write a profile into ~/.aws/credentials"
)


def credentials_of(settings: S3Settings, environ: Mapping[str, str] = os.environ) -> Credentials:
    """The credentials to sign with.

    Raises:
        S3Error: there are none, or only half of a pair.
    """
    if settings.access_key and settings.secret_key:
        return Credentials(settings.access_key, settings.secret_key, settings.session_token)
    if settings.access_key or settings.secret_key:
        missing = "secret" if settings.access_key else "access"
        raise S3Error(f"failed to get credentials: etcd-s3-{missing}-key is missing", _NEEDED)
    return _from_file(environ)


def _from_file(environ: Mapping[str, str]) -> Credentials:
    file = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or _home(environ) / ".aws/credentials")
    profile = environ.get("AWS_PROFILE") or "default"
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(file.read_text(), source=str(file))
        section = parser[profile]
        access, secret = section["aws_access_key_id"], section["aws_secret_access_key"]
    except FileNotFoundError:
        raise S3Error("failed to get credentials: no access key is set", _NEEDED) from None
    except KeyError as error:
        what = f"{file}: profile {profile!r} has no {error.args[0]}"
        raise S3Error(f"failed to get credentials: {what}", _NEEDED) from None
    except (OSError, ValueError, configparser.Error) as error:
        raise S3Error(f"failed to get credentials: {file}: {error}", _NEEDED) from error
    return Credentials(access, secret, section.get("aws_session_token", ""))


def _home(environ: Mapping[str, str]) -> Path:
    """A service of systemd has no HOME."""
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()
