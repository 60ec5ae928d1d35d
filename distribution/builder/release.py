"""The release as one graph of tasks: components, bases and charts, then archives, then ``build/dist``.

Only what is not there yet becomes a task; `load` alone tells that, so a build with nothing to do takes about as
long as hashing the recipes.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from pathlib import Path

from distribution.builder import (
    archives,
    charts,
    components,
    costs,
    images,
    keys,
    lines,
    modulefiles,
    recipes,
    rootfs,
    sbom,
    toolchain,
)
from distribution.builder.archives import Archive, Plan
from distribution.builder.artifacts import Store, write_json
from distribution.builder.components import Component
from distribution.builder.costs import Cost, Effort
from distribution.builder.errors import DistributionError, RecipeError
from distribution.builder.images import Description, Stock
from distribution.builder.lines import Line
from distribution.builder.places import Places
from distribution.builder.rootfs import Base
from distribution.builder.schedule import Note, Task
from distribution.builder.toolchain import Toolchain

_CHART_CODE = [Path(str(module.__file__)).read_bytes() for module in (charts, modulefiles)]
_BASE_COST = 60
_ARCHIVE_COST = 100


@dataclass(frozen=True)
class Release:
    """Everything a release is made of, with the keys of what it gives."""

    line: Line
    places: Places
    toolchain: Toolchain
    components: Mapping[str, Component]
    bases: Mapping[str, Base]
    hosts: Mapping[str, Base]
    descriptions: Mapping[str, Description]
    plan: Plan

    @property
    def store(self) -> Store:
        return Store(self.places.artifacts)

    @cached_property
    def charts_key(self) -> str:
        """The key of the packed charts: their sources, the pins of modules they take files from, the packer."""
        sources, components = self.places.charts, self.places.components
        pins = [path for name in ("recipe.toml", "go.mod") for path in components.glob(f"*/{name}")]
        files = [path for path in sources.rglob("*") if path.is_file()]
        return keys.of(keys.of_tree(sources, files), keys.of_tree(components, pins), *_CHART_CODE)

    @property
    def charts_directory(self) -> Path:
        return self.store.path("charts", self.charts_key)

    @property
    def stock(self) -> Stock:
        """What images are assembled from."""
        return Stock(self.components, self.bases, lambda: sorted(self.charts_directory.glob("*.yaml")))

    def archive(self, name: str) -> Archive:
        """The archive `name`.

        Raises:
            DistributionError: there is none.
        """
        for archive in self.plan.archives:
            if archive.name == name:
                return archive
        known = ", ".join(archive.name for archive in self.plan.archives)
        raise DistributionError(f"there is no archive {name!r} (there are: {known})")

    def component(self, name: str) -> Component:
        """The component `name`.

        Raises:
            DistributionError: there is none.
        """
        if name not in self.components:
            raise DistributionError(
                f"there is no component {name!r} (there are: {', '.join(self.components)})"
            )
        return self.components[name]

    def wanted(self, optional: bool) -> list[Archive]:
        """All archives, or all but the optional ones."""
        return [archive for archive in self.plan.archives if optional or not archive.optional]

    def wanted_components(self, optional: bool) -> list[Component]:
        """All components, or all but those that only optional archives need."""
        given_up = self._needed(self.plan.archives) - self._needed(self.wanted(optional))
        return [component for name, component in self.components.items() if name not in given_up]

    def _needed(self, some: Iterable[Archive]) -> set[str]:
        return {name for archive in some for image in self.described(archive) for name in image.components}

    def described(self, archive: Archive) -> list[Description]:
        """The descriptions of its images, in the order of the archive."""
        return [self.descriptions[name] for name in archive.images]

    def archive_key(self, archive: Archive) -> str:
        """Everything that decides the bytes of `archive`."""
        parts = [archives.code_key(), *archive.images]
        for description in self.described(archive):
            parts.append((self.places.images / f"{description.name}.toml").read_text())
            parts += [self.components[name].key for name in description.components]
            parts += [self.bases[name].key for name in description.bases]
            parts += [self.charts_key] if description.charts else []
        return keys.of(*parts)

    def store_of(self, archive: Archive) -> Store:
        """The line's own if anything in `archive` is: else it is the same on all lines."""
        described = self.described(archive)
        own = self.line.own & self._needed([archive]) or any(description.charts for description in described)
        return self.store if own else Store(self.places.for_all_lines.artifacts)

    def archive_directory(self, archive: Archive) -> Path:
        return self.store_of(archive).path(_archive(archive), self.archive_key(archive))

    def artifacts(self) -> Iterator[tuple[str, Path]]:
        """Name and place of everything the store may hold for this release, built or not."""
        yield from ((component.name, component.directory) for component in self.components.values())
        yield from ((base.name, base.directory) for base in (*self.bases.values(), *self.hosts.values()))
        yield "charts", self.charts_directory
        yield from ((_archive(archive), self.archive_directory(archive)) for archive in self.plan.archives)


def load(places: Places) -> Release:
    """Lay out the sources of the line, read all descriptions and ask the toolchain.

    Raises:
        DistributionError: there is no such line.
        RecipeError: a description is wrong; names file and key.
    """
    line = lines.load(places)
    places = lines.lay_out(places, line)
    common = places.for_all_lines
    found = recipes.load_all(places.components)
    tools = toolchain.find({package for recipe in found.values() for package in recipe.apt})
    release = Release(
        line,
        places,
        tools,
        {
            name: components.component(recipe, tools, places if name in line.own else common)
            for name, recipe in found.items()
        },
        rootfs.load_all(places.images / "bases", "base", debian_release(), common),
        rootfs.load_all(places.hosts, "host", debian_release(), common),
        images.load_all(places.images),
        archives.load(places.plan),
    )
    _check_references(release)
    return release


def component_tasks(release: Release, wanted: Iterable[Component]) -> Iterator[Task]:
    """A task for each of `wanted` that is not built. The cost of one is guessed from the modules it pins."""
    for component in wanted:
        if not component.is_built:
            step = _Recorded(component.directory, _Build(release, component))
            yield Task(component.name, step, cost=_cost(component))


def archive_tasks(release: Release, wanted: Iterable[Archive]) -> list[Task]:
    """Tasks for those of `wanted` that are not there, and for everything missing that they need."""
    missing = [archive for archive in wanted if not release.archive_directory(archive).is_dir()]
    described = [description for archive in missing for description in release.described(archive)]
    tasks = [*_parts(release, described)]
    for archive in missing:
        needs = tuple(task.name for task in _parts(release, release.described(archive)))
        step = _Recorded(release.archive_directory(archive), _Pack(release, archive))
        tasks.append(Task(_archive(archive), step, requires=needs, cost=_ARCHIVE_COST))
    return tasks


def _parts(release: Release, described: list[Description]) -> Iterator[Task]:
    names = dict.fromkeys(name for description in described for name in description.components)
    yield from component_tasks(release, (release.components[name] for name in names))
    for name in dict.fromkeys(name for description in described for name in description.bases):
        yield from _base_task(release, name, release.bases[name])
    if any(description.charts for description in described) and not release.charts_directory.is_dir():
        yield Task("charts", _Recorded(release.charts_directory, _PackCharts(release)), cost=_BASE_COST)


def host_tasks(release: Release) -> list[Task]:
    """A task for each root file system of test hosts that is not there."""
    return [
        task for name, host in release.hosts.items() for task in _base_task(release, f"host {name}", host)
    ]


def _base_task(release: Release, name: str, base: Base) -> Iterator[Task]:
    if not base.is_built:
        yield Task(name, _Recorded(base.directory, _BuildBase(release, base)), cost=_BASE_COST)


@dataclass(frozen=True)
class _Recorded:
    """A step that makes an artifact, and keeps beside it what that took.

    Attributes:
        artifact: its directory.
        make: tells the compilers' effort, if any ran.
    """

    artifact: Path
    make: Callable[[Note], Awaitable[Effort | None]]

    async def __call__(self, note: Note) -> None:
        begin = time.monotonic()
        effort = await self.make(note)
        seconds = time.monotonic() - begin
        cost = Cost(seconds, effort.cpu_seconds, effort.packages) if effort else Cost(seconds)
        costs.record(self.artifact, cost)


@dataclass(frozen=True)
class _Build:
    release: Release
    component: Component

    async def __call__(self, note: Note) -> Effort:
        return await components.build(self.component, self.release.toolchain, self.release.places, note)


@dataclass(frozen=True)
class _BuildBase:
    release: Release
    base: Base

    async def __call__(self, note: Note) -> None:
        note("fetching Debian packages")
        await self.base.build(self.release.places)


@dataclass(frozen=True)
class _PackCharts:
    release: Release

    async def __call__(self, note: Note) -> None:
        note("packing")
        await asyncio.to_thread(self._pack)

    def _pack(self) -> None:
        places = self.release.places
        with self.release.store.create("charts", self.release.charts_key) as directory:
            charts.write_manifests(places.charts, directory, places.go_mod)


@dataclass(frozen=True)
class _Pack:
    release: Release
    archive: Archive

    async def __call__(self, note: Note) -> None:
        await asyncio.to_thread(self._pack, note)

    def _pack(self, note: Note) -> None:
        release, archive = self.release, self.archive
        described = release.described(archive)
        with release.store_of(archive).create(_archive(archive), release.archive_key(archive)) as directory:
            note("assembling images")
            made = [images.assemble(description, release.stock) for description in described]
            note("compressing")
            target = directory / f"{archive.stem}.tar.zst"
            archives.write(made, target)
            (directory / f"{archive.stem}.txt").write_text("".join(f"{image.reference}\n" for image in made))
            (directory / "sha256").write_text(_sha256(target))
            (directory / "sbom").mkdir()
            for image, description in zip(made, described, strict=True):
                document = sbom.document(image, description, release.stock)
                write_json(directory / "sbom" / f"{description.name}.spdx.json", document)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _cost(component: Component) -> int:
    sums = component.recipe.directory / "go.sum"
    return len(sums.read_bytes().splitlines()) * len(component.recipe.binaries) if sums.exists() else 1


def _archive(archive: Archive) -> str:
    return f"archive-{archive.name}"


def debian_release() -> str:
    """That of this machine: what apt gives depends on it."""
    return platform.freedesktop_os_release().get("VERSION_ID", "")


def _check_references(release: Release) -> None:
    """Raise `RecipeError` where a description names something that does not exist."""
    for description in release.descriptions.values():
        path = release.places.images / f"{description.name}.toml"
        _refuse_unknown(path, "component", description.components, release.components)
        _refuse_unknown(path, "bases", description.bases, release.bases)
        for component, binary, _ in description.binaries:
            names = [known.name for known in release.components[component].recipe.binaries]
            _refuse_unknown(path, "binary", [binary], names)
        for component, tree, _ in description.trees:
            names = [known.name for known in release.components[component].recipe.trees]
            _refuse_unknown(path, "tree", [tree], names)
    for archive in release.plan.archives:
        _refuse_unknown(release.places.plan, "images", archive.images, release.descriptions)
    _refuse_unknown(release.places.plan, "flags", release.plan.flags.values(), release.descriptions)


def _refuse_unknown(path: Path, key: str, names: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted({*names} - {*known})
    if unknown:
        raise RecipeError(f"{path}: `{key}`: {', '.join(unknown)} does not exist")
