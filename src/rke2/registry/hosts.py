"""What registries are called: one spelling of a host for all that people write for it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

DOCKER_HUB = "docker.io"
"""Docker Hub in references."""

DOCKER_HUB_SERVER = "registry-1.docker.io"
"""Where its images really are. To containerd it is a registry of its own, which happens to have the same images."""

_NAMES_OF_DOCKER_HUB = (DOCKER_HUB, "index.docker.io", DOCKER_HUB_SERVER)

_NO_NAME = "is not the name of a registry"


def host_of(text: str) -> str:
    """The host, with its port if one is given, that a host or a URL stands for.

    In small letters, without the dot at the end, IPv6 addresses in brackets and as short as they can be, Docker Hub
    under its one name.

    Raises:
        ValueError: there is no host in it, or a user, too; to be read after the text, which it does not repeat.
    """
    name, port = port_apart(spelled(text).lower())
    name = name.removesuffix(".")
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            raise ValueError(f"{_NO_NAME}: there is no IPv6 address in the brackets") from None
    host = name + port
    return DOCKER_HUB if host in _NAMES_OF_DOCKER_HUB else host


def spelled(text: str) -> str:
    """The host in a host or a URL as it is written there.

    Raises:
        ValueError: as `host_of`.
    """
    try:
        url = urlsplit(text if "://" in text else f"//{text}")
    except ValueError:
        raise ValueError(f"{_NO_NAME}: its brackets hold no IPv6 address") from None
    if "@" in url.netloc:
        raise ValueError("has a user in it")
    name, port = port_apart(url.netloc)
    if not name or any(character.isspace() for character in url.netloc):
        raise ValueError(_NO_NAME)
    if ":" in name and not name.startswith("["):
        raise ValueError(f"{_NO_NAME}: an IPv6 address needs brackets")
    if port and not (port[1:].isascii() and port[1:].isdigit() and int(port[1:]) <= 0xFFFF):
        raise ValueError(f"{_NO_NAME}: {port[1:]!r} is not a port")
    return url.netloc


def port_apart(host: str) -> tuple[str, str]:
    """Name and ``:port``."""
    name, colon, port = host.rpartition(":")
    return (name, f":{port}") if colon and not host.endswith("]") else (host, "")
