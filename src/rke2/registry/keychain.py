"""Credentials a person has stored for docker, podman or a helper program of either."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rke2.registry.hosts import DOCKER_HUB, host_of
from rke2.registry.source import RegistryCredentials

log = logging.getLogger(__name__)

HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB, "registry-1.docker.io")
"""Under which names docker keeps the credentials of Docker Hub."""

HELPER_SECONDS = 30.0
_TOKEN_USER = "<token>"
"""What a helper answers as the user when the secret is an identity token."""


def credentials(host: str, environ: Mapping[str, str] = os.environ) -> RegistryCredentials | None:
    """What the first configuration file that knows `host` says of it; None without one.

    A file or helper that cannot be used is reported and passed over: the image may be public.
    """
    for file in _files(environ):
        try:
            document = json.loads(file.read_text())
            found = _look_up(document if isinstance(document, dict) else {}, host, environ)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            log.warning("registry credentials in %s cannot be read: %s", file, error)
            continue
        if found:
            return found
    return None


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME", "")
    if directory := environ.get("DOCKER_CONFIG") or (home and f"{home}/.docker"):
        yield Path(directory) / "config.json"
    if file := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(file)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers/auth.json"


def _look_up(
    document: Mapping[str, Any], host: str, environ: Mapping[str, str]
) -> RegistryCredentials | None:
    helpers, auths = document.get("credHelpers") or {}, document.get("auths") or {}
    keys = HUB_KEYS if host == DOCKER_HUB else (host, f"https://{host}", f"https://{host}/v2/")
    others = (key for key in {**helpers, **auths} if _is_for(key, host))  # as docker does: by the host alone
    for key in (*keys, *others):
        if helper := helpers.get(key):
            return _ask(helper, key, environ)
        if entry := auths.get(key):
            return decode(entry)
    store = document.get("credsStore")
    return _ask(store, keys[0], environ) if store else None


def _is_for(key: str, host: str) -> bool:
    try:
        return host_of(key) == host_of(host)
    except ValueError:
        return False


def decode(entry: Mapping[str, str]) -> RegistryCredentials | None:
    """An entry of ``auths``: ``auth`` is base64 of ``user:password``.

    Raises:
        ValueError: it is not.
    """
    username, password = entry.get("username", ""), entry.get("password", "")
    if auth := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(auth, validate=True).decode().strip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("auth is not base64 of user:password") from error
    made = RegistryCredentials(username, password, entry.get("identitytoken", ""))
    return made if made != RegistryCredentials() else None


def _ask(helper: str, key: str, environ: Mapping[str, str]) -> RegistryCredentials | None:
    """Run ``docker-credential-<helper> get``, which reads the registry's name and answers in JSON."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=HELPER_SECONDS,
            check=False,
            env=dict(environ),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s, which keeps the credentials of %s, cannot be asked: %s", program, key, error)
        return None
    if done.returncode:
        log.debug("docker-credential-%s has nothing for %s: %s", helper, key, done.stdout.strip())
        return None
    answer = json.loads(done.stdout)
    if answer["Username"] == _TOKEN_USER:
        return RegistryCredentials(identity_token=answer["Secret"])
    return RegistryCredentials(answer["Username"], answer["Secret"])
