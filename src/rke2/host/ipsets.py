"""IP sets of the kernel: ``python -m rke2.host.ipsets [list|destroy] PREFIX…``, for hosts without the program ipset.

Speaks netfilter's netlink protocol (``linux/netfilter/ipset/ip_set.h``), of which two commands are enough.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from errno import ENOENT

NETLINK_NETFILTER = 12
_SUBSYSTEM = 6 << 8
_DESTROY, _LIST = 3, 7
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_PROTOCOL, _SETNAME, _FLAGS = 1, 2, 6
_BIG_ENDIAN = 0x4000
_ONLY_NAMES = 1 << 1
_ERROR, _DONE = 2, 3
PROTOCOL_VERSION = 6
"""Understood by every kernel since 3.14; newer ones speak 7 as well."""


def names() -> list[str]:
    """The names of all IP sets in this network namespace.

    Raises:
        OSError: the kernel has none to offer, or this process may not ask.
    """
    flags = _attribute(_FLAGS | _BIG_ENDIAN, struct.pack("!I", _ONLY_NAMES))
    return [name for answer in _ask(_LIST, _DUMP, flags) if (name := _name(answer))]


def destroy(name: str) -> None:
    """Remove a set.

    Raises:
        OSError: it is not there, or a rule still uses it.
    """
    for _ in _ask(_DESTROY, _ACK, _attribute(_SETNAME, name.encode() + b"\0")):
        pass


def _ask(command: int, flags: int, attributes: bytes) -> Iterator[bytes]:
    """The attributes of every answer."""
    body = struct.pack("=BBH", 0, 0, 0) + _attribute(_PROTOCOL, bytes([PROTOCOL_VERSION])) + attributes
    header = struct.pack("=IHHII", 16 + len(body), _SUBSYSTEM | command, _REQUEST | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.settimeout(5)
        kernel.send(header + body)
        while True:
            for kind, payload in messages(kernel.recv(1 << 16)):
                if kind == _ERROR and (error := -struct.unpack_from("=i", payload)[0]):
                    raise OSError(error, f"IP sets: netlink error {error}")
                if kind in (_ERROR, _DONE):
                    return
                yield payload[4:]


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each netlink message in a datagram."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if not 16 <= length <= len(data):
            return
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _name(attributes: bytes) -> str:
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if not 4 <= length <= len(attributes):
            break
        if kind & 0x3FFF == _SETNAME:
            return attributes[4:length].rstrip(b"\0").decode(errors="replace")
        attributes = attributes[(length + 3) & ~3 :]
    return ""


def _attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(padding)


def main(arguments: Sequence[str]) -> int:
    """List or destroy the sets whose names begin with one of the prefixes; the exit code is 1 if one stays."""
    verb, *prefixes = arguments
    stay = 0
    try:
        found = [name for name in names() if name.startswith(tuple(prefixes))]
    except OSError:
        return 0  # this kernel has none
    for name in found:
        if verb == "list":
            print(name)
            continue
        try:
            destroy(name)
        except OSError as error:
            stay |= error.errno != ENOENT
    return stay


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
