"""The Python packages of rke2, as wheels for the Python in the one file, not for the one that runs the builder."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from distribution.builder import processes
from distribution.builder.errors import BuildError
from distribution.builder.toolchain import inherited_environment

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
"""Of a C library that is as old as that of Debian 11, so older than the one in the file."""

_NAME = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-.*\.whl")
_LICENSE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)


@dataclass(frozen=True)
class Wheel:
    """One package."""

    path: Path
    name: str
    version: str

    @classmethod
    def of(cls, path: Path) -> Wheel:
        """The wheel at `path`; its name says what it is."""
        found = _NAME.fullmatch(path.name)
        assert found is not None, f"{path.name} is a wheel's name"
        return cls(path, found["name"].replace("_", "-").lower(), found["version"])

    def files(self) -> Iterator[tuple[str, bytes]]:
        """What of it is imported: path and content.

        Raises:
            BuildError: it wants files elsewhere, which nothing here does for it.
        """
        for name, content in self._members():
            top = PurePosixPath(name).parts[0]
            if top.endswith(".data"):
                raise BuildError(self.name, f"{self.path.name} has {name}, whose place is not known here")
            if not top.endswith(".dist-info"):
                yield name, content

    def licenses(self) -> Iterator[tuple[str, bytes]]:
        """File name and text of its licenses."""
        for name, content in self._members():
            path = PurePosixPath(name)
            if path.parts[0].endswith(".dist-info") and _LICENSE.match(path.name):
                yield path.name, content

    def _members(self) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield member.filename, archive.read(member)


async def download(requirements: Path, python: str, directory: Path, without: Collection[str]) -> list[Wheel]:
    """Fetch what `requirements` pins by hash, as wheels for Python `python` (``3.11``), sorted by name.

    Raises:
        BuildError: pip cannot have one of them.
    """
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--require-hashes", "--only-binary", ":all:", "--implementation", "cp", "--python-version", python),
        *(word for platform in _PLATFORMS for word in ("--platform", platform)),
        *("--dest", str(directory), "--requirement", str(requirements)),
    ]
    environment = inherited_environment() | _pip_settings()
    await processes.run("wheels", command, cwd=directory, env=environment)
    found = sorted((Wheel.of(path) for path in directory.glob("*.whl")), key=lambda wheel: wheel.name)
    return [wheel for wheel in found if wheel.name not in without]


def _pip_settings() -> dict[str, str]:
    """Where pip looks is the user's choice; what it takes is decided by hashes."""
    import os

    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
