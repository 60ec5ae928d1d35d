"""The tasks that make the one file, and its place in ``build/release``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from distribution.builder import release
from distribution.builder.components import Component
from distribution.builder.linking import link
from distribution.builder.onefile import own
from distribution.builder.onefile.description import load
from distribution.builder.onefile.runtime import Runtime, runtime
from distribution.builder.places import Places
from distribution.builder.release import Release
from distribution.builder.schedule import Note, Task

_PYTHON, _RUNTIME, _FILE = "python", "python packages", own.FILE_NAME


@dataclass(frozen=True)
class OneFile:
    """The file of this source tree."""

    entry: Component
    runtime: Runtime
    commit: str
    places: Places

    @cached_property
    def key(self) -> str:
        return own.file_key(self.runtime, self.entry.key, self.commit, self.places)

    @property
    def kept(self) -> Path:
        """Where it is when it is made."""
        return own.kept(self.key, self.places)

    def tasks(self, plan: Release) -> list[Task]:
        """What is missing of it."""
        if self.kept.exists():
            return []
        found = [*release.component_tasks(plan, [self.entry])]
        if not self.runtime.is_built:
            if not self.runtime.base.is_built:
                found.append(Task(_PYTHON, self._fetch))
            needs = tuple(task.name for task in found if task.name == _PYTHON)
            found.append(Task(_RUNTIME, self._pack, requires=needs, cost=100))
        return [*found, Task(_FILE, self._link, requires=tuple(task.name for task in found))]

    async def _fetch(self, note: Note) -> None:
        note("fetching Debian packages")
        await self.runtime.base.build(self.places)

    async def _pack(self, note: Note) -> None:
        await self.runtime.build(self.places, note)

    async def _link(self, note: Note) -> None:
        note("packing rke2")
        await own.write(self.runtime, self.entry.binary("onefile"), self.key, self.commit, self.places)

    def publish(self) -> Path:
        """Put it into ``build/release``."""
        target = self.places.release / own.FILE_NAME
        link(self.kept, target)
        return target


def of(plan: Release) -> OneFile:
    """The one file of the release `plan`."""
    places = plan.places
    made = runtime(load(places), release.debian_release(), places)
    return OneFile(plan.component("onefile"), made, own.commit_of(places.repository), places)
