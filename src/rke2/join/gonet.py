"""Addresses and networks in the JSON of Go's ``net`` package (supervisor reference §5.3, "Encoding").

An address is its text, absent it is ``""``; a network is ``{"IP":"10.42.0.0","Mask":"//8AAA=="}`` with the mask's
bytes in base64, absent it is null.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from rke2.config.model import IPAddress, IPNetwork
from rke2.host.addresses import unmapped


def encode_address(address: IPAddress | None) -> str:
    return str(address) if address else ""


def decode_address(value: Any) -> IPAddress | None:
    """Raises ValueError for anything but an address, ``""`` and None."""
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an address")
    return unmapped(ip_address(value))


def encode_network(network: IPNetwork | None) -> dict[str, str] | None:
    if network is None:
        return None
    mask = base64.b64encode(network.netmask.packed).decode()
    return {"IP": str(network.network_address), "Mask": mask}


def decode_network(value: Any) -> IPNetwork | None:
    """Raises ValueError for anything but a network and None; host bits are ignored."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a network")
    address = decode_address(value.get("IP"))
    if address is None:
        raise ValueError(f"{value!r} has no IP")
    return ip_network((address, _prefix(value.get("Mask"), address.max_prefixlen)), strict=False)


def _prefix(text: Any, width: int) -> int:
    """Length of a mask; one of 16 bytes may be that of an IPv4 network."""
    try:
        mask = base64.b64decode(text, validate=True)[-width // 8 :]
    except (TypeError, binascii.Error) as error:
        raise ValueError(f"mask {text!r} is not base64") from error
    bits = "".join(f"{byte:08b}" for byte in mask)
    prefix = bits.rstrip("0")
    if len(bits) != width or "0" in prefix:
        raise ValueError(f"{text!r} is not a mask of {width} bits")
    return len(prefix)


def encode_addresses(addresses: Iterable[IPAddress]) -> list[str] | None:
    return [str(address) for address in addresses] or None


def encode_networks(networks: Iterable[IPNetwork]) -> list[dict[str, str] | None] | None:
    return [encode_network(network) for network in networks] or None
