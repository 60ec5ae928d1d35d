"""One YAML file of flags, as entries that know their line.

Scalars keep the text as written (``0644`` stays ``0644``, ``1.10`` stays ``1.10``) where upstream first turns
them into numbers and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rke2.errors import ConfigError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

_BOOL, _NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"
_TRUE = ("y", "yes", "true", "on")

Shape = Literal["nothing", "a scalar", "a list", "a nested map", "a list with a nested map or list inside"]


@dataclass(frozen=True)
class Scalar:
    """One scalar as written.

    Args:
        boolean: its value if YAML 1.1 reads it as true or false, else None.
        empty: it is null.
    """

    text: str
    boolean: bool | None = None
    empty: bool = False


@dataclass(frozen=True)
class YamlEntry:
    """One key of one file.

    Args:
        key: without the trailing ``+``.
        appends: the key had a trailing ``+``.
        source: ``file:line``.
        shape: what stands behind the key; `scalars` holds its parts if it is a scalar or a list of scalars.
    """

    key: str
    appends: bool
    source: str
    shape: Shape
    scalars: tuple[Scalar, ...] = ()


def read_entries(name: str, text: str) -> list[YamlEntry]:
    """The keys of the YAML document `text` in order.

    Args:
        name: the file's name, for messages.

    Raises:
        ConfigError: invalid YAML, no mapping, or a key given twice.
    """
    root = _compose(name, text)
    entries = [_entry(name, key, value) for key, value in root.value] if root else []
    seen: dict[tuple[str, bool], str] = {}
    for entry in entries:
        if (entry.key, entry.appends) in seen:
            first = seen[entry.key, entry.appends]
            raise ConfigError(
                f"{entry.source}: {entry.key} is given twice, first at {first}",
                "keep one; a list takes several values",
            )
        seen[entry.key, entry.appends] = entry.source
    return entries


def _compose(name: str, text: str) -> MappingNode | None:
    import yaml

    from rke2 import goyaml

    try:
        root = yaml.compose(text, Loader=goyaml.Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {_one_line(error)}") from None
    if root is None or root.tag == _NULL:
        return None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{name} is not a map of flags to values", "write one `flag: value` per line")
    return root


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + str(getattr(error, "problem", None) or error).replace("\n", " ")


def _entry(name: str, key: Node, value: Node) -> YamlEntry:
    source = f"{name}:{key.start_mark.line + 1}"
    if not isinstance(key.value, str):
        raise ConfigError(f"{source}: the key is not a plain word", "keys are the long names of flags")
    shape, scalars = _content(value)
    return YamlEntry(key.value.removesuffix("+"), key.value.endswith("+"), source, shape, scalars)


def _content(node: Node) -> tuple[Shape, tuple[Scalar, ...]]:
    from yaml import MappingNode, ScalarNode, SequenceNode

    if node.tag == _NULL:
        return "nothing", ()
    if isinstance(node, ScalarNode):
        return "a scalar", (_scalar(node),)
    if isinstance(node, MappingNode):
        return "a nested map", ()
    assert isinstance(node, SequenceNode)
    if not all(isinstance(item, ScalarNode) for item in node.value):
        return "a list with a nested map or list inside", ()
    return "a list", tuple(_scalar(item) for item in node.value)


def _scalar(node: Node) -> Scalar:
    text: str = node.value
    return Scalar(text, text.lower() in _TRUE if node.tag == _BOOL else None, node.tag == _NULL)
