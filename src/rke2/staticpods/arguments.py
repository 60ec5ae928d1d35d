"""Merging a component's default flags with the operator's ``*-arg`` items (layout reference §3.4).

An item is ``key=value``, ``key+=value``, ``key-=value`` or a bare ``key`` (meaning ``key=true``);
leading dashes do not count.

================  ==========================================================================
``key=value``     the default goes; values of earlier items for the key, then this one
``key+=value``    the default if it is still there, values of earlier items, then this one
``key-=value``    this one, then the default if it is still there and values of earlier items
================  ==========================================================================

Every value becomes a flag of its own: the component's parser accumulates list flags and lets the last
scalar win.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rke2.errors import ConfigError

Operator = Literal["=", "+=", "-="]


@dataclass(frozen=True)
class Item:
    """One ``*-arg`` value, taken apart."""

    key: str
    operator: Operator
    value: str


def parse_item(text: str) -> Item:
    """Take one item apart.

    Raises:
        ConfigError: it has no key.
    """
    # At the first "=" alone: values such as those of feature-gates contain more of them.
    left, equals, value = text.lstrip("-").partition("=")
    key, operator = _split_operator(left) if equals else (left, "=")
    if not key:
        raise ConfigError(f"component argument {text!r} has no name", "write it as name=value")
    return Item(key, operator, value if equals else "true")


def _split_operator(left: str) -> tuple[str, Operator]:
    if left.endswith("+"):
        return left[:-1], "+="
    if left.endswith("-"):
        return left[:-1], "-="
    return left, "="


def merge(defaults: Mapping[str, str], items: Iterable[str]) -> tuple[str, ...]:
    """The command line ``--key=value …``, sorted by key.

    Args:
        defaults: one value for each flag the node sets itself.
        items: the operator's items in the order they were given.

    Raises:
        ConfigError: an item has no key.
    """
    given: dict[str, list[str]] = {}
    for item in map(parse_item, items):
        given[item.key] = _apply(item, given.get(item.key), defaults.get(item.key))
    # Replaced, not joined: where an item extends a default, `given` holds that already.
    values = {key: [value] for key, value in defaults.items()} | given
    return tuple(f"--{key}={value}" for key in sorted(values) for value in values[key])


def _apply(item: Item, earlier: list[str] | None, default: str | None) -> list[str]:
    if earlier is None:
        earlier = [] if item.operator == "=" or default is None else [default]
    return [item.value, *earlier] if item.operator == "-=" else [*earlier, item.value]


def given_keys(items: Iterable[str]) -> frozenset[str]:
    """The flags the operator set, in whatever way."""
    return frozenset(parse_item(item).key for item in items)


def last_value(items: Iterable[str], key: str) -> str | None:
    """The value a scalar flag ends up with when only the operator's items count; None if not given."""
    values = [item.value for item in map(parse_item, items) if item.key == key]
    return values[-1] if values else None
