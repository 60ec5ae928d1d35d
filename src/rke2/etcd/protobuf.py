"""The part of the protocol buffers encoding that etcd's API uses, for messages that are dataclasses.

A message is a frozen dataclass whose fields are declared with `uint`, `integer`, `boolean`, `text`, `octets` and
`message`, each with its field number. Zero values are left out and unknown fields are skipped, as proto3 says; a field
declared `optional` is None when absent and is sent even if zero.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

M = TypeVar("M")

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types. Groups (3 and 4) are obsolete and refused."""

_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_MASK64 = 2**64 - 1


class DecodeError(ValueError):
    """The bytes are not such a message."""


@dataclass(frozen=True)
class _Codec:
    """How one field goes over the wire."""

    number: int
    wire: int
    encode: Callable[[Any], bytes]
    decode: Callable[[Any], Any]
    repeated: bool = False


# --- declaring fields ------------------------------------------------------------------------------


def uint(number: int) -> Any:
    """An unsigned 64-bit number, such as a member id."""
    return _declare(_Codec(number, VARINT, encode_varint, int), 0)


def integer(number: int, *, optional: bool = False) -> Any:
    """A signed 64-bit number (``int64``, or an enum)."""
    return _declare(_Codec(number, VARINT, encode_varint, _signed), None if optional else 0)


def boolean(number: int) -> Any:
    return _declare(_Codec(number, VARINT, encode_varint, bool), False)


def text(number: int, *, repeated: bool = False) -> Any:
    """UTF-8 text; a tuple of them if `repeated`."""
    return _declare(_Codec(number, LENGTH, str.encode, _decode_text, repeated), () if repeated else "")


def octets(number: int) -> Any:
    return _declare(_Codec(number, LENGTH, bytes, bytes), b"")


def message(number: int, kind: type, *, repeated: bool = False) -> Any:
    """A message in a message: None if absent, a tuple of them if `repeated`."""
    decoder = functools.partial(decode, kind)
    return _declare(_Codec(number, LENGTH, encode, decoder, repeated), () if repeated else None)


def _declare(codec: _Codec, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"codec": codec})


def _decode_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"text that is not UTF-8: {error}") from error


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


# --- encoding --------------------------------------------------------------------------------------


def encode_varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; a negative number as its 64-bit two's complement."""
    rest, out = value & _MASK64, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def encode(value: Any) -> bytes:
    """The bytes of the message `value`."""
    out = bytearray()
    for field, codec in _fields(type(value)):
        content = getattr(value, field.name)
        if content == field.default:
            continue
        for item in content if codec.repeated else (content,):
            out += _encode_field(codec, item)
    return bytes(out)


def _encode_field(codec: _Codec, item: Any) -> bytes:
    payload = codec.encode(item)
    length = encode_varint(len(payload)) if codec.wire == LENGTH else b""
    return encode_varint(codec.number << 3 | codec.wire) + length + payload


_Fields = tuple[tuple[dataclasses.Field[Any], _Codec], ...]
_known: dict[type, _Fields] = {}


def _fields(kind: type) -> _Fields:
    if kind not in _known:
        _known[kind] = tuple((field, field.metadata["codec"]) for field in dataclasses.fields(kind))
    return _known[kind]


# --- decoding --------------------------------------------------------------------------------------


def decode(kind: type[M], data: bytes) -> M:
    """The message of the dataclass `kind` in `data`.

    Raises:
        DecodeError: `data` is not one.
    """
    names = {codec.number: (field.name, codec) for field, codec in _fields(kind)}
    found: dict[str, Any] = {}
    for number, wire, content in split(data):
        if number not in names:
            continue
        name, codec = names[number]
        if wire != codec.wire:
            raise DecodeError(f"{kind.__name__}.{name} has wire type {wire} instead of {codec.wire}")
        # Of a scalar that comes twice the last one counts, as the encoding demands.
        value = codec.decode(content)
        found[name] = (*found.get(name, ()), value) if codec.repeated else value
    return kind(**found)


def split(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Field number, wire type and content of each field, in the order of `data`.

    Raises:
        DecodeError: `data` ends in the middle of a field, or holds a type that no message has.
    """
    at = 0
    while at < len(data):
        key, at = decode_varint(data, at)
        number, wire = key >> 3, key & 7
        content: int | bytes
        if wire == VARINT:
            content, at = decode_varint(data, at)
        elif wire == LENGTH:
            size, at = decode_varint(data, at)
            content, at = _take(data, at, size)
        elif wire in _FIXED_SIZES:
            content, at = _take(data, at, _FIXED_SIZES[wire])
        else:
            raise DecodeError(f"wire type {wire}")
        yield number, wire, content


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next thing begins.

    Raises:
        DecodeError: it does not end, or does not fit into 64 bits.
    """
    value = 0
    # Ten groups of seven bits hold more than 64 bits: the check below refuses what does not fit.
    for index in range(10):
        if at + index >= len(data):
            raise DecodeError("a number is cut off")
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value > _MASK64:
                break
            return value, at + index + 1
    raise DecodeError("a number is longer than 64 bits")


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    # A slice beyond the end is shorter and raises nothing: a
    # message that is cut off would pass for a whole one.
    if end > len(data):
        raise DecodeError("a field is cut off")
    return data[at:end], end
