"""Where in a document of an operator something is wrong.

msgspec tells the place as ``$.configs[...].auth``: the keys of maps are left out, and so is the host that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import msgspec

_PLACE = re.compile(r"(?<=`)\$([^`]*)(?=`)")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")


def with_keys(error: msgspec.ValidationError, document: Any, type_: Any) -> str:
    """The words of `error` with the keys in them.

    Args:
        document: what was converted.
        type_: to what.
    """
    return _PLACE.sub(lambda place: "".join(_steps(place[1], document, type_)), str(error))


def _steps(place: str, document: Any, type_: Any) -> Iterator[str]:
    keys: list[Any] = []
    for step in _STEP.finditer(place):
        field, number = step[1], step[2]
        if field:
            keys.append(field)
            yield f".{field}" if len(keys) > 1 else field
        elif number:
            keys.append(int(number))
            yield f"[{number}]"
        else:
            wrong = [key for key in _at(document, keys) if _is_wrong(document, [*keys, key], type_)]
            keys.append(wrong[0])
            yield f'["{wrong[0]}"]'


def _at(document: Any, keys: list[Any]) -> Any:
    return reduce(lambda value, key: value[key], keys, document)


def _is_wrong(document: Any, keys: list[Any], type_: Any) -> bool:
    """Whether the document would be wrong if it had nothing but what is there."""
    alone = reduce(
        lambda value, key: [value] if isinstance(key, int) else {key: value},
        reversed(keys),
        _at(document, keys),
    )
    try:
        msgspec.convert(alone, type_)
    except msgspec.ValidationError:
        return True
    return False
