"""Single values of an answer, each checked by whoever takes it over: the server may be of another release."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from rke2.config.names import is_dns_name
from rke2.errors import JoinError
from rke2.join.cluster_config.keys import Answer

T = TypeVar("T")

EGRESS_MODES = ("agent", "cluster", "pod", "disabled")


def read(answer: Answer, key: str, decode: Callable[[Any], T], default: T) -> T:
    """The value of `key`; `default` for a key that is missing or has Go's zero value."""
    value = answer.get(key)
    if not value:
        return default
    try:
        return decode(value)
    except (ValueError, TypeError, KeyError) as error:
        raise JoinError(
            f"the server's configuration is unusable: {key}: {error}",
            "compare the releases of server and node; the node must not be newer",
        ) from error


def read_list(
    answer: Answer, key: str, single: str, decode: Callable[[Any], T | None], default: tuple[T, ...]
) -> tuple[T, ...]:
    """The list `key`, of an old server the one value `single`."""

    def decode_all(values: Any) -> tuple[T, ...]:
        if not isinstance(values, list):
            raise ValueError(f"{values!r} is not a list")
        return tuple(item for value in values if (item := decode(value)) is not None)

    one = read(answer, single, decode, None)
    return read(answer, key, decode_all, ()) or ((one,) if one is not None else default)


def text(value: Any) -> str:
    # It becomes part of arguments, manifests and messages.
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} is not text")
    return value


def tls_version(value: Any) -> str:
    if not re.fullmatch(r"VersionTLS1[0-3]", text(value)):
        raise ValueError(f"{value!r} is not a version such as VersionTLS12")
    return text(value)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def domain(value: Any) -> str:
    if not is_dns_name(text(value)):
        raise ValueError(f"{value!r} is not a DNS domain")
    return text(value)


def egress_mode(value: Any) -> str:
    if value not in EGRESS_MODES:
        raise ValueError(f"{value!r} is not one of {', '.join(EGRESS_MODES)}")
    return text(value)


def _port(value: Any) -> int:
    # isinstance would take true for port 1.
    if type(value) is not int or not 0 < value < 65536:
        raise ValueError(f"{value!r} is not a port")
    return value


def port_range(value: Any) -> str:
    """Of ``{"Base":30000,"Size":2768}``."""
    low = _port(value["Base"])
    return f"{low}-{_port(low + value['Size'] - 1)}"
