"""Debian packages as one layer: the few programs that have no static build (iptables, conntrack, …).

apt resolves the packages against an empty system and downloads them, with the sources and keys of this machine;
their files go straight into the layer. No maintainer script runs, nothing is unpacked on disk, no root is
needed; what scripts would have made (links of ``update-alternatives``, the merged /usr) the description states.
"""

from __future__ import annotations

import asyncio
import fnmatch
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec

from distribution.builder import keys, layers, processes
from distribution.builder.artifacts import Store, write_json
from distribution.builder.errors import BuildError, RecipeError
from distribution.builder.layers import Entry, Layer
from distribution.builder.places import Places
from distribution.builder.recipes import read_toml
from distribution.builder.toolchain import inherited_environment

_LAYER, _PACKAGES, _DIGEST = "layer.tar", "packages.json", "digest.json"
_MERGED = ("bin", "sbin", "lib", "lib64")


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file made of others, in the order of their names: ``update-ca-certificates`` without its script."""

    path: str
    files: str


class Rootfs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The description of a base (``images/bases/<name>.toml``) or of a test host (``hosts/<name>.toml``).

    Attributes:
        packages: wanted ones; apt adds what they depend on.
        without: patterns of dependencies left out: for maintainer scripts, or for programs left out.
        only: package -> patterns of the paths taken from it, where few of many are wanted.
        drop: patterns of paths left out (`fnmatch`; ``*`` crosses slashes).
        place: patterns of paths -> the directory that takes these files, first match first, where they are to lie
            elsewhere than Debian has them. What matches none is left out, and so are links that then lead nowhere.
        directories: path -> mode, of directories that programs write to.
        symlinks: path -> target, in place of ``update-alternatives``.
        join: files made of others.
        applets: path of a program -> the names it has beside itself.
    """

    name: str
    purpose: str
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = {}
    drop: tuple[str, ...] = ()
    place: Mapping[str, str] = {}
    directories: Mapping[str, int] = {}
    symlinks: Mapping[str, str] = {}
    join: tuple[Join, ...] = ()
    applets: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class DebianPackage:
    """An installed package, as the SBOM lists it."""

    name: str
    version: str
    architecture: str
    source: str


@dataclass(frozen=True)
class Base:
    """A root file system and where its layer is (to be) kept; `kind` is ``base`` or ``host``."""

    rootfs: Rootfs
    key: str
    store: Store
    kind: str = "base"

    @property
    def name(self) -> str:
        return self.rootfs.name

    @property
    def _store_name(self) -> str:
        return f"{self.kind}-{self.name}"

    @property
    def is_built(self) -> bool:
        return self.store.has(self._store_name, self.key)

    @property
    def directory(self) -> Path:
        return self.store.path(self._store_name, self.key)

    @property
    def layer(self) -> Path:
        """All of it as a tar archive."""
        return self.directory / _LAYER

    @property
    def blob(self) -> layers.StoredBlob:
        return layers.StoredBlob(self.layer)

    @property
    def digest(self) -> layers.Digest:
        return layers.Digest(**json.loads((self.directory / _DIGEST).read_text()))

    @property
    def packages(self) -> list[DebianPackage]:
        return [DebianPackage(**fields) for fields in json.loads((self.directory / _PACKAGES).read_text())]

    async def build(self, places: Places) -> None:
        """Resolve, download and pack.

        Raises:
            BuildError: apt cannot resolve or download.
        """
        debs = await download(self.rootfs, places)
        with self.store.create(self._store_name, self.key) as directory:
            await asyncio.to_thread(self._pack, debs, directory)

    def _pack(self, debs: list[Path], directory: Path) -> None:
        layer = Layer(tuple(entries(self.rootfs, debs)))
        with (directory / _LAYER).open("wb") as out:
            layer.write_to(out)
        write_json(directory / _PACKAGES, [asdict(package) for package in map(describe, debs)])
        write_json(directory / _DIGEST, asdict(layers.digest_of(layers.StoredBlob(directory / _LAYER))))


def load_all(directory: Path, kind: str, release: str, places: Places) -> dict[str, Base]:
    """Every description in `directory`; `release` is Debian's, part of the keys."""
    found = {}
    for path in sorted(directory.glob("*.toml")):
        rootfs = read_toml(path, Rootfs)
        if rootfs.name != path.stem:
            raise RecipeError(f"{path}: `name` is {rootfs.name!r}, the file is {path.stem!r}")
        key = keys.of(path.read_bytes(), Path(__file__).read_bytes(), release)
        found[rootfs.name] = Base(rootfs, key, Store(places.artifacts), kind)
    return found


async def download(rootfs: Rootfs, places: Places) -> list[Path]:
    """The .deb files of `rootfs` and its dependencies, sorted by name.

    The machine's own package database is not consulted (its status is taken to be empty) nor changed.
    """
    target = places.debs / rootfs.name
    (target / "partial").mkdir(parents=True, exist_ok=True)
    for deb in target.glob("*.deb"):
        deb.unlink()
    command = [
        "apt-get",
        "install",
        "--download-only",
        "--no-install-recommends",
        "--yes",
        "-o=Dir::State::status=/dev/null",
        f"-o=Dir::Cache::archives={target}",
        "-o=Debug::NoLocking=1",
        "-o=APT::Sandbox::User=",
        *rootfs.packages,
    ]
    try:
        await processes.run(rootfs.name, command, cwd=target, env=inherited_environment())
    except BuildError as error:
        reason = "apt cannot download its packages (is the package index there? try `apt-get update`)"
        raise BuildError(rootfs.name, reason, error.output) from error
    return sorted(deb for deb in target.glob("*.deb") if not _matches(_package(deb), rootfs.without))


def entries(rootfs: Rootfs, debs: Iterable[Path]) -> Iterator[Entry]:
    """The files of the base: those of `debs` that are kept, the merged /usr, the links, the joined files."""
    found = {entry.path: entry for deb in debs for entry in _taken(rootfs, deb)}
    for join in rootfs.join:
        parts = [_bytes(found[path]) for path in sorted(fnmatch.filter(found, join.files))]
        yield Entry(join.path, 0o644, content=b"".join(parts))
    kept = {path: entry for path, entry in found.items() if not _matches(path, rootfs.drop)}
    yield from _placed(kept, rootfs.place) if rootfs.place else kept.values()
    if not rootfs.place and any(path.startswith("/usr/lib/") for path in found):
        yield from (layers.symlink(f"/{name}", f"usr/{name}") for name in _MERGED)
    yield from (layers.directory(path, mode) for path, mode in rootfs.directories.items())
    yield from (layers.symlink(path, target) for path, target in rootfs.symlinks.items())
    for program, names in rootfs.applets.items():
        directory, _, target = program.rpartition("/")
        yield from (layers.symlink(f"{directory}/{name}", target) for name in names)


def _placed(found: Mapping[str, Entry], places: Mapping[str, str]) -> Iterator[Entry]:
    """The files of `found` in the directories that take them, without what is between."""
    placed: dict[str, Entry] = {}
    for path, entry in found.items():
        directory = next((to for pattern, to in places.items() if fnmatch.fnmatchcase(path, pattern)), None)
        if directory is not None:
            new = f"{directory}/{PurePosixPath(path).name}"
            placed[new] = replace(entry, path=new)
    for path, entry in placed.items():
        if not entry.target or str(PurePosixPath(path).parent / entry.target) in placed:
            yield entry


def _taken(rootfs: Rootfs, deb: Path) -> Iterator[Entry]:
    patterns = rootfs.only.get(_package(deb), ("*",))
    return (entry for entry in _files(deb) if _matches(entry.path, patterns))


def _package(deb: Path) -> str:
    return deb.name.split("_")[0]


def merged(path: str) -> str:
    """`path` on a system with a merged /usr: Debian packages still ship files in /bin, /sbin and /lib."""
    first, _, rest = path.removeprefix("./").strip("/").partition("/")
    return f"/usr/{first}/{rest}" if first in _MERGED and rest else f"/{first}/{rest}".rstrip("/")


def describe(deb: Path) -> DebianPackage:
    """Name, version, architecture and source package of `deb`."""
    show = "--showformat=${Package}\n${Version}\n${Architecture}\n${source:Package}\n"
    fields = _output(["dpkg-deb", "--show", show, str(deb)]).decode().splitlines()
    return DebianPackage(*fields)


def _files(deb: Path) -> Iterator[Entry]:
    """Files and links of `deb`; directories come back as parents, hard links as copies."""
    with tarfile.open(fileobj=io.BytesIO(_output(["dpkg-deb", "--fsys-tarfile", str(deb)]))) as tar:
        for member in tar:
            path = merged(member.name)
            if member.issym():
                yield layers.symlink(path, member.linkname)
            elif member.isfile() or member.islnk():
                file = tar.extractfile(member)
                assert file is not None
                yield Entry(path, member.mode & 0o777, content=file.read())


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _bytes(entry: Entry) -> bytes:
    assert isinstance(entry.content, bytes)
    return entry.content


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, check=True).stdout
