"""Everything of the one file but rke2 itself: Debian's Python, the libraries it needs, the Python packages.

::

    artifacts/onefile-runtime-<key>/tree/          as it is unpacked
                                    runtime.frame  packed
                                    size           bytes of the files in it
                                    wheels.json    Python package -> version
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from distribution.builder import keys, processes, rootfs
from distribution.builder.artifacts import Store, write_json
from distribution.builder.errors import BuildError
from distribution.builder.onefile import branches, compiling, elf, movable, payload, wheels
from distribution.builder.onefile.description import Description
from distribution.builder.onefile.wheels import Wheel
from distribution.builder.places import Places
from distribution.builder.prerequisites import ONEFILE
from distribution.builder.rootfs import Base
from distribution.builder.schedule import Note
from distribution.builder.toolchain import installed_versions

_STORE_NAME = "onefile-runtime"
_INTERPRETER = re.compile(r"usr/bin/python(3\.\d+)")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_CODE = (branches, compiling, elf, movable, payload, wheels)


@dataclass(frozen=True)
class Runtime:
    """What rke2 is packed with, and where it is (to be) kept."""

    description: Description
    base: Base
    key: str
    store: Store

    @property
    def directory(self) -> Path:
        return self.store.path(_STORE_NAME, self.key)

    @property
    def is_built(self) -> bool:
        return self.store.has(_STORE_NAME, self.key)

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    @property
    def frame(self) -> Path:
        return self.directory / "runtime.frame"

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return int((self.directory / "size").read_text())

    async def build(self, places: Places, note: Note) -> None:
        """Make it, from the Debian packages of `base`.

        Raises:
            BuildError: a package cannot be had, or what is linked is not there.
        """
        with self.store.create(_STORE_NAME, self.key) as directory:
            tree = directory / "tree"
            python = await asyncio.to_thread(self._lay, tree)
            note("fetching Python packages")
            found = await self._fetch(places, python.name.removeprefix("python"), directory)
            await asyncio.to_thread(self._add, found, python, tree)
            note("compiling")
            await compile_tree(tree, python, "stripped")
            note("compressing")
            size = await asyncio.to_thread(payload.write_frame, tree, directory / "runtime.frame")
            (directory / "size").write_text(f"{size}\n")
            write_json(directory / "wheels.json", {wheel.name: wheel.version for wheel in found})
            shutil.rmtree(directory / "wheels")

    async def _fetch(self, places: Places, version: str, directory: Path) -> list[Wheel]:
        target = directory / "wheels"
        target.mkdir()
        return await wheels.download(requirements(places), version, target, self.description.without_wheels)

    def _lay(self, tree: Path) -> Path:
        """Python of Debian; the directory of its library."""
        (tree / "bin").mkdir(parents=True)
        (tree / "lib").mkdir()
        with tarfile.open(self.base.layer) as layer:
            members = {member.name: member for member in layer}
            version = next(found[1] for name in members if (found := _INTERPRETER.fullmatch(name)))
            _extract(layer, members[f"usr/bin/python{version}"], tree / "bin/rke2", 0o755)
            library = f"usr/lib/python{version}/"
            for name, member in members.items():
                inside = name.removeprefix(library)
                if name.startswith(library) and member.isfile() and not self.description.drops(inside):
                    _extract(layer, member, tree / "lib" / f"python{version}" / inside)
        return tree / "lib" / f"python{version}"

    def _add(self, found: Iterable[Wheel], python: Path, tree: Path) -> None:
        """The Python packages, then every library that is linked by anything."""
        for wheel in found:
            for name, content in wheel.files():
                if not self.description.drops(name):
                    _write(python / name, content)
            for name, content in wheel.licenses():
                _write(tree / "licenses" / wheel.name / name, content)
        extensions = [path for path in python.rglob("*.so*") if elf.is_elf(path)]
        elf.strip(extensions)
        with tarfile.open(self.base.layer) as layer:
            _add_libraries(layer, [tree / "bin/rke2", *extensions], tree / "lib")
            _add_licenses(layer, tree / "licenses")
        movable.make_movable(tree / "bin/rke2")


def runtime(description: Description, release: str, places: Places) -> Runtime:
    """The runtime with its content key; `release` is Debian's."""
    store = Store(places.artifacts)
    source = (places.onefile / "onefile.toml").read_bytes()
    base = Base(description.python, keys.of(source, _code(rootfs), release), store, "onefile")
    tools = str(sorted(installed_versions(ONEFILE).items()))
    code = [Path(__file__).read_bytes(), *map(_code, _CODE)]
    key = keys.of(base.key, requirements(places).read_bytes(), tools, *code)
    return Runtime(description, base, key, store)


def _code(module: ModuleType) -> bytes:
    return Path(str(module.__file__)).read_bytes()


def requirements(places: Places) -> Path:
    """The pins of what rke2 runs with."""
    return places.repository / "packaging/requirements/runtime.txt"


async def compile_tree(program: Path, modules: Path, how: str) -> None:
    """Compile `modules` by the Python in the tree `program`; see `compiling`.

    Raises:
        BuildError: a module is not for this Python.
    """
    libraries = program / "lib"
    command = [
        *(str(libraries / elf.LOADER), "--library-path", str(libraries), str(program / "bin/rke2"), "-BIS"),
        *(str(Path(str(compiling.__file__))), str(modules), how),
    ]
    # -B: what it imports itself is part of the tree. In frozen sets of compiled constants the order is that of hashes.
    await processes.run("onefile", command, cwd=program, env={"PYTHONHASHSEED": "0"})


def _add_libraries(layer: tarfile.TarFile, programs: Iterable[Path], target: Path) -> None:
    """Whatever `programs` are linked to, and what that is linked to, under the names by which it is asked for."""
    members = {member.name: member for member in layer.getmembers()}
    waiting = {elf.LOADER} | {name for program in programs for name in elf.needed(program)}
    while waiting:
        name = waiting.pop()
        if (target / name).exists():
            continue
        member = _followed(members, f"{_LIBRARIES}/{name}")
        if member is None:
            raise BuildError("onefile", f"{name} is linked, but no Debian package of onefile.toml has it")
        _extract(layer, member, target / name, 0o755 if name == elf.LOADER else 0o644)
        waiting |= elf.needed(target / name)


def _followed(members: dict[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo | None:
    member = members.get(name)
    while member is not None and member.issym():
        name = f"{name.rpartition('/')[0]}/{member.linkname}"
        member = members.get(name)
    return member


def _add_licenses(layer: tarfile.TarFile, target: Path) -> None:
    for member in layer.getmembers():
        place, _, name = member.name.rpartition("/")
        if name == "copyright" and place.startswith("usr/share/doc/") and member.isfile():
            _extract(layer, member, target / place.rpartition("/")[2] / "copyright")


def _extract(layer: tarfile.TarFile, member: tarfile.TarInfo, target: Path, mode: int = 0o644) -> None:
    file = layer.extractfile(member)
    assert file is not None
    _write(target, file.read(), mode)


def _write(target: Path, content: bytes, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(mode)
