"""Grammars of Kubernetes names: DNS names, label keys and values, taints, quantities."""

from __future__ import annotations

import re

_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_NAME = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUANTITY = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def is_dns_name(text: str) -> bool:
    """An RFC 1123 subdomain: what a Node may be called."""
    return len(text) <= 253 and _DNS_NAME.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """``name`` or ``prefix/name``."""
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_dns_name(prefix)) and len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Empty, or up to 63 of the characters of names."""
    return not text or (len(text) <= 63 and _QUALIFIED.fullmatch(text) is not None)


def is_quantity(text: str) -> bool:
    """A non-negative resource quantity such as ``250m`` or ``1.5Gi``."""
    return _QUANTITY.fullmatch(text) is not None


def is_env_name(text: str) -> bool:
    """A name the API accepts for a container's environment variable."""
    return _ENV_NAME.fullmatch(text) is not None
