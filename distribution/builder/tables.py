"""The release lines as a module of the product (``src/rke2/releases.py``): it cannot read ``distribution``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from distribution.builder import lines
from distribution.builder.lines import Line
from distribution.builder.places import DEFAULT_LINE, Places

_HEAD = '''\
"""The release lines that this source tree can be: generated from ``distribution/releases`` by ``make releases``."""

from __future__ import annotations

from collections.abc import Mapping
'''


def path(places: Places) -> Path:
    """Where the module is."""
    return places.product / "releases.py"


def text(places: Places) -> str:
    """The module.

    Raises:
        RecipeError: the file of a line is wrong; names file and key.
    """
    found = {name: lines.load(Places(places.repository, places.cache, name)) for name in lines.names(places)}
    return "\n".join(
        [
            _HEAD,
            f'DEFAULT_LINE = "{DEFAULT_LINE}"',
            f'PACKAGE_VERSION = "{_package_version(found[DEFAULT_LINE])}"',
            '"""Of the Python package of the default line."""',
            "",
            "VERSIONS: Mapping[str, str] = {",
            *_rows({name: line.version for name, line in found.items()}, 4),
            "}",
            '"""Line -> release."""',
            "",
            "OFFICIAL_IMAGES: Mapping[str, Mapping[str, str]] = {",
            *_images(found),
            "}",
            '"""Line -> component -> RKE2\'s image of it, without registry."""',
            "",
        ]
    )


def _images(found: Mapping[str, Line]) -> Iterable[str]:
    for name, line in found.items():
        if line.official:
            yield f'    "{name}": {{'
            yield from _rows(line.official, 8)
            yield "    },"


def _rows(values: Mapping[str, str], indent: int) -> Iterable[str]:
    return (_row(" " * indent, key, value) for key, value in values.items())


def _row(indent: str, key: str, value: str) -> str:
    """As ruff formats it."""
    row = f'{indent}"{key}": "{value}",'
    return row if len(row) <= 110 else f'{indent}"{key}": (\n{indent}    "{value}"\n{indent}),'


def _package_version(line: Line) -> str:
    """As Python counts: the first revision of v1.36.4 is 1.36.4.post1."""
    number = line.revision.removeprefix("rke2py")
    return f"{line.kubernetes.removeprefix('v')}.post{number}"
