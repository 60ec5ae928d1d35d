"""Credentials from the kubelet's image credential providers (``kubelet.config.k8s.io/v1 CredentialProviderConfig``).

A provider is a program: it reads which image is to be pulled and answers with credentials. The kubelet asks the same
programs for pods; providers that want a pod's service account token have none to expect here and are left out.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rke2 import goyaml
from rke2.registry.reference import ImageReference
from rke2.registry.source import RegistryCredentials

log = logging.getLogger(__name__)

SECONDS = 60.0
"""The kubelet's own limit for a provider."""


class _Variable(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class Provider(msgspec.Struct, frozen=True, rename="camel"):
    """An entry of the configuration; `match_images` are hosts with ``*`` for parts of them, and paths below."""

    name: str
    match_images: list[str]
    api_version: str
    args: list[str] = []
    env: list[_Variable] = []
    token_attributes: dict[str, object] | None = None


class _Config(msgspec.Struct, frozen=True):
    providers: list[Provider]


class _Auth(msgspec.Struct, frozen=True):
    username: str = ""
    password: str = ""


class _Response(msgspec.Struct, frozen=True):
    auth: dict[str, _Auth] | None = None


def usable(programs: Path, config: Path) -> bool:
    """Whether there are both programs and a configuration for them: the kubelet fails with only one."""
    return programs.is_dir() and config.exists()


def credentials(programs: Path, config: Path, reference: ImageReference) -> RegistryCredentials | None:
    """What the first provider that is meant for the image says; None without one.

    What cannot be used is reported and passed over: the image may be public.
    """
    for provider in _providers(config):
        fits = any(matches(pattern, reference) for pattern in provider.match_images)
        if fits and provider.token_attributes is None:
            answer = _ask(programs / provider.name, provider, reference)
            for pattern, auth in (answer.auth or {}).items() if answer else ():
                if matches(pattern, reference):
                    return RegistryCredentials(auth.username, auth.password)
    return None


def _providers(config: Path) -> Iterator[Provider]:
    """Those of a file, or of all files in a directory."""
    for file in sorted(config.iterdir()) if config.is_dir() else [config]:
        try:
            yield from msgspec.convert(goyaml.load(file.read_text()), _Config).providers
        except (OSError, UnicodeDecodeError, goyaml.Error, msgspec.ValidationError) as error:
            log.warning("image credential providers in %s cannot be read: %s", file, error)


def matches(pattern: str, reference: ImageReference) -> bool:
    """Whether `pattern` (``*.example.com:5000/team``) covers an image; a ``*`` stands for no dot."""
    host, _, path = pattern.partition("://")[2].partition("/") if "://" in pattern else pattern.partition("/")
    name, _, port = host.partition(":")
    own_name, _, own_port = reference.host.partition(":")
    parts, own_parts = name.split("."), own_name.split(".")
    return (
        port == own_port
        and len(parts) == len(own_parts)
        and all(fnmatch.fnmatchcase(own, part) for own, part in zip(own_parts, parts, strict=True))
        and reference.repository.startswith(path)
    )


def _ask(program: Path, provider: Provider, reference: ImageReference) -> _Response | None:
    # As the kubelet has it: the image without tag and digest.
    request = {
        "apiVersion": provider.api_version,
        "kind": "CredentialProviderRequest",
        "image": reference.name,
    }
    try:
        done = subprocess.run(
            [program, *provider.args],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
            env={**os.environ, **{each.name: each.value for each in provider.env}},
        )
        return msgspec.json.decode(done.stdout, type=_Response)
    except subprocess.CalledProcessError as error:
        log.warning(
            "image credential provider %s: %s", program, error.stderr.decode(errors="replace").strip()
        )
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        log.warning("image credential provider %s: %s", program, error)
    return None
