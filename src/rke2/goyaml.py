"""YAML as Go programs read it: one reader for files that operators write or Go programs share, one writer for these.

Kubernetes, Helm, etcd and the kubelet read with sigs.k8s.io/yaml, which is YAML 1.1 in its own way; some programs
around them have go.yaml.in/yaml/v3. PyYAML differs where it changes meaning: to Go ``1e3`` and ``08`` are numbers,
``0o17`` is octal, ``y`` and ``n`` are booleans (also as keys), ``22:22`` and dates are strings, keys become
strings, and ``1.0`` is the number 1.

The writer leaves a string bare only where neither PyYAML nor any of these readers takes it for something else, so what
PyYAML wrote and Go read right has the same bytes as before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml import SafeDumper as _BaseDumper
    from yaml import SafeLoader as _BaseLoader
else:
    _BaseDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    _BaseLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Error = yaml.YAMLError
"""What the reader raises: the text is not YAML, or holds what JSON cannot."""

_TAG = "tag:yaml.org,2002:"
_STR, _INT, _FLOAT, _BOOL, _NULL, _MERGE = (
    _TAG + kind for kind in ("str", "int", "float", "bool", "null", "merge")
)


def _cases(*words: str) -> Iterator[str]:
    for word in words:
        yield from (word, word.capitalize(), word.upper())


_BOOLS = dict.fromkeys(_cases("y", "yes", "on", "true"), True) | dict.fromkeys(
    _cases("n", "no", "off", "false"), False
)
_WORDS = {
    **dict.fromkeys(_BOOLS, _BOOL),
    **dict.fromkeys(("", "~", *_cases("null")), _NULL),
    **dict.fromkeys((sign + word for sign in ("", "+", "-") for word in _cases(".inf")), _FLOAT),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), _FLOAT),
    "<<": _MERGE,
}
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES = {"0x": 16, "0b": 2, "0o": 8}
_INT64, _UINT64 = -(2**63), 2**64
_EXPONENT_FROM = 1e21
"""Smaller numbers without a fraction are integers in the JSON that Go writes."""


def number(text: str) -> int | float | None:
    """The number that a bare scalar is to Go; None if it is not a number."""
    if not text[:1] or text[0] not in "0123456789+-.":
        return None
    if text.startswith("._"):
        return None
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain) and _INT64 <= (found := _integer(plain)) < _UINT64:
        return found
    if not _DECIMAL.fullmatch(plain) or abs(value := float(plain)) == float("inf"):
        return None
    return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value


def _integer(text: str) -> int:
    digits = text.lstrip("+-").lower()
    base = _BASES.get(digits[:2]) or (8 if digits[0] == "0" and len(digits) > 1 else 10)
    value = int(digits[2:] if digits[:2] in _BASES else digits, base)
    return -value if text[0] == "-" else value


def _tag(text: str) -> str:
    if word := _WORDS.get(text):
        return word
    found = number(text)
    return _STR if found is None else _INT if isinstance(found, int) else _FLOAT


class Loader(_BaseLoader):
    """PyYAML's safe loader with Go's rules for scalars and keys."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _tag(value)
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        return {_key(key, node): value for key, value in super().construct_mapping(node, deep).items()}


def _key(key: object, node: yaml.Node) -> str:
    """Go turns keys into strings when it makes JSON of a document."""
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | float):
        return str(key)
    raise yaml.constructor.ConstructorError(None, None, "a key is not a string", node.start_mark)


def _construct_number(_loader: Loader, node: yaml.ScalarNode) -> int | float:
    found = number(node.value)
    if found is None:
        problem = f"{node.value} is not a number that JSON can hold"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return found


def _construct_bool(_loader: Loader, node: yaml.ScalarNode) -> bool:
    if node.value not in _BOOLS:
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} is not a boolean", node.start_mark)
    return _BOOLS[node.value]


def _construct_timestamp(_loader: Loader, node: yaml.ScalarNode) -> str:
    return str(node.value)


Loader.add_constructor(_INT, _construct_number)
Loader.add_constructor(_FLOAT, _construct_number)
Loader.add_constructor(_BOOL, _construct_bool)
Loader.add_constructor(_TAG + "timestamp", _construct_timestamp)


def load(text: str | bytes) -> Any:
    """The one document of `text`; None if it is empty.

    Raises:
        Error: it is not YAML, or has several documents.
    """
    return _guarded(lambda: yaml.load(text, Loader))


def load_all(text: str | bytes) -> list[Any]:
    """All documents of `text`; None for each that is empty.

    Raises:
        Error: it is not YAML.
    """
    return list(_guarded(lambda: list(yaml.load_all(text, Loader))))


def _guarded(read: Any) -> Any:
    try:
        return read()
    except (ValueError, RecursionError) as error:  # bytes that are not text, nesting without end
        raise Error(str(error)) from error


class _Quoting:
    """Quotes what Go would not read as a string."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[misc]
        return _tag(value) if tag == _STR and kind is yaml.ScalarNode and implicit[0] else tag


class _Dumper(_Quoting, yaml.SafeDumper):
    """The one whose line breaks and quotes files have had from the beginning."""


class _FastDumper(_Quoting, _BaseDumper):
    """For the charts, which are large."""


def _represent_str(dumper: Any, text: str) -> yaml.ScalarNode:
    """Line breaks of YAML 1.1 that Go does not take for line breaks are written as escapes."""
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029") else None
    node: yaml.ScalarNode = dumper.represent_scalar(_STR, text, style)
    return node


_Dumper.add_representer(str, _represent_str)
_FastDumper.add_representer(str, _represent_str)


def dump(document: Any, **style: Any) -> str:
    """`document` as YAML that Go reads back as it is.

    Args:
        style: as for ``yaml.safe_dump``; keys keep their order unless it says ``sort_keys``.
    """
    return str(yaml.dump(document, Dumper=_Dumper, **{"sort_keys": False, **style}))


def dump_all(documents: list[Any], **style: Any) -> str:
    """`documents` as `dump` does, one after another."""
    return str(yaml.dump_all(documents, Dumper=_FastDumper, **{"sort_keys": False, **style}))
