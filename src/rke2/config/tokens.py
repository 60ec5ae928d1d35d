"""The secrets of a cluster as the operator gives them: directly or in a file.

Only their form is looked at here; whether one opens this cluster's data is for `rke2.join` and the datastore.
"""

from __future__ import annotations

import re
from pathlib import Path

from rke2.config.settings import Settings
from rke2.errors import ConfigError

SECURE_PREFIX = "K10"
_SECURE = re.compile(r"K10[0-9a-f]{64}::\S+")


def read_token(settings: Settings, name: str) -> str:
    """The token of the flag `name`, or of ``<name>-file``; empty if neither is set.

    Raises:
        ConfigError: the file is missing, unreadable or empty, or the token cannot be one.
    """
    token = settings.text(name)
    if token:
        return _checked(token, f"{name} (set by {settings.by_name[name].source})")
    file = settings.text(f"{name}-file")
    return _from_file(Path(file), f"{name}-file") if file else ""


def _from_file(path: Path, flag: str) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ConfigError(
            f"{flag}: {path} does not exist", "create it with the token as its only line"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{flag}: {path} cannot be read: {error}") from None
    if not token:
        raise ConfigError(f"{flag}: {path} is empty", "write the token into it")
    return _checked(token, f"{flag} {path}")


def _checked(token: str, where: str) -> str:
    """The token, unchanged. Messages never show it."""
    if any(character.isspace() for character in token):
        raise ConfigError(f"{where}: the token contains white space", "give one token on one line")
    if token.startswith(SECURE_PREFIX) and not _SECURE.fullmatch(token):
        raise ConfigError(
            f"{where}: the token starts with {SECURE_PREFIX} but is not of the form "
            "K10<64 hex digits>::<user>:<password>",
            "copy the whole token from the server",
        )
    return token
