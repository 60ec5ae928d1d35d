"""Which resolv.conf pods may be given: one whose servers they can reach, too."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

CANDIDATES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The second one is systemd-resolved's list of real servers; the first often names only its local stub."""

FALLBACK = "nameserver 8.8.8.8\nnameserver 2001:4860:4860::8888\n"
"""Used on hosts without any usable file."""


def nameservers(text: str) -> list[str]:
    """The servers a resolv.conf names."""
    fields = (line.split() for line in text.splitlines())
    return [words[1] for words in fields if len(words) > 1 and words[0] == "nameserver"]


def usable(path: Path) -> bool:
    """Whether the file names at least one server, and only such as can be reached from other network namespaces."""
    try:
        servers = nameservers(path.read_text())
    except OSError:
        return False
    return bool(servers) and all(map(_is_global_unicast, servers))


def _is_global_unicast(text: str) -> bool:
    """As Go's ``IsGlobalUnicast``, for which private addresses are global."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    local = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return not local and str(address) != "255.255.255.255"


def find(candidates: tuple[Path, ...] = CANDIDATES) -> Path | None:
    """The first usable file."""
    return next((path for path in candidates if usable(path)), None)
