"""Lines of releases: a minor version of Kubernetes with the versions of everything that is built for it.

A line is ``distribution/releases/<line>.toml``. Recipes and descriptions of images are written for all lines; a line
fills in its versions::

    components/<name>/recipe.toml    ${version}   what the line pins for the component, such as v1.36.4
                                     ${number}    the same without its v
                                     ${minor}     its second number
    charts/<name>/{Chart,values}.yaml   ${etcd.version} …, of any component
    images/<name>.toml               ${tag}       the release as a tag of an image, such as v1.36.4-rke2py1

and ``distribution/releases/<line>/`` holds the files that are others on this line (``components/etcd/go.mod`` …).
Both together are laid out in ``build/sources/<line>``, and built from there: the builder itself knows of no lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from distribution.builder.errors import DistributionError, RecipeError
from distribution.builder.linking import link
from distribution.builder.places import DEFAULT_LINE, Places
from distribution.builder.recipes import read_toml

_VARIABLE = re.compile(r"\$\{((?:[a-z-]+\.)?(?:version|number|minor|tag))\}")
_LAID_OUT = ("components", "images", "charts", "hosts", "onefile", "release.toml")
_COMMON = ("images/bases/", "hosts/")
"""Descriptions of Debian packages: kept by name in one store, so a line cannot have them in a form of its own."""
_IGNORED = ("__pycache__", ".pytest_cache", ".hypothesis")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``releases/<line>.toml``.

    Attributes:
        revision: of the release, behind the version of Kubernetes.
        base: the line whose versions hold where this one states none.
        components: component -> version, of all that are not our own code.
        official: component -> RKE2's image of it, without registry.
    """

    revision: str
    base: str = ""
    components: dict[str, str] = {}
    official: dict[str, str] = {}


@dataclass(frozen=True)
class Line:
    """A line with what it takes from its base.

    Attributes:
        name: such as ``v1.36``.
        overlays: directories of files that are others than in ``distribution``, later ones win.
        own: components that are not those of the default line.
    """

    name: str
    revision: str
    components: Mapping[str, str]
    official: Mapping[str, str]
    overlays: tuple[Path, ...]
    own: frozenset[str]

    @property
    def kubernetes(self) -> str:
        """The version of Kubernetes, such as ``v1.36.4``."""
        return self.components["kubernetes"]

    @property
    def version(self) -> str:
        """The release, such as ``v1.36.4+rke2py1``."""
        return f"{self.kubernetes}+{self.revision}"

    @property
    def tag(self) -> str:
        """The release as a tag: OCI tags may not contain ``+``."""
        return self.version.replace("+", "-")


def names(places: Places) -> list[str]:
    """All lines, the oldest first."""
    found = (path.stem for path in places.lines.glob("v*.toml"))
    return sorted(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def load(places: Places) -> Line:
    """The line that `places` are of.

    Raises:
        DistributionError: there is no such line.
        RecipeError: its file is wrong; names file and key.
    """
    if places.line not in names(places):
        raise DistributionError(
            f"there is no release line {places.line!r} (there are: {', '.join(names(places))})"
        )
    return _load(places.lines, places.line)


def _load(directory: Path, name: str) -> Line:
    path = directory / f"{name}.toml"
    file = read_toml(path, _File)
    base = _load(directory, file.base) if file.base else None
    components = {**(base.components if base else {}), **file.components}
    if "kubernetes" not in components:
        raise RecipeError(f"{path}: `components`: kubernetes is missing")
    overlay = directory / name
    changed = file.components.keys() | {path.name for path in (overlay / "components").glob("*")}
    return Line(
        name=name,
        revision=file.revision,
        components=components,
        # Of another Kubernetes they would be the wrong images.
        official=file.official,
        overlays=(*(base.overlays if base else ()), overlay),
        own=frozenset() if name == DEFAULT_LINE else (base.own if base else frozenset()) | changed,
    )


def lay_out(places: Places, line: Line) -> Places:
    """Make ``build/sources/<line>`` the sources of `line`, and tell the places with these.

    Raises:
        RecipeError: a description names a version that the line does not pin, or the line something nobody names.
    """
    target = places.build_root / "sources" / line.name
    files = dict(_files(places.repository / "distribution", _LAID_OUT))
    for overlay in line.overlays:
        files |= _overlay(overlay)
    _refuse_other_pins(line, files, places.lines)
    for name, source in files.items():
        _place(name, source, target / name, line)
    _remove_others(target, files)
    return replace(places, sources=target)


def sources(line: str = DEFAULT_LINE) -> Places:
    """This repository with the sources of `line` laid out.

    Raises:
        DistributionError: there is no such line.
        RecipeError: as `load` and `lay_out` raise it.
    """
    places = Places.default(line)
    return lay_out(places, load(places))


def _files(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for part in parts:
        # os.walk follows a link at its top, as a checkout may have one here.
        found = [Path(at, name) for at, _, names in os.walk(root / part) for name in names]
        for path in found or [root / part]:
            if path.is_file() and not any(name in path.parts for name in _IGNORED):
                yield path.relative_to(root).as_posix(), path


def _overlay(overlay: Path) -> dict[str, Path]:
    files = dict(_files(overlay, _LAID_OUT))
    for name, path in files.items():
        if name.startswith(_COMMON):
            raise RecipeError(f"{path}: it is the same in all lines; give another one a name of its own")
    return files


def _refuse_other_pins(line: Line, files: Mapping[str, Path], lines: Path) -> None:
    wanted = {
        Path(name).parent.name
        for name, path in files.items()
        if name.endswith("/recipe.toml") and "${version}" in path.read_text()
    }
    for name in sorted(wanted ^ line.components.keys()):
        problem = "is not pinned" if name in wanted else "has no recipe that takes its version from here"
        raise RecipeError(f"{lines / line.name}.toml: `components`: {name} {problem}")


def _place(name: str, source: Path, target: Path, line: Line) -> None:
    variables = _variables(name, line)
    if not variables:
        link(source, target)
        return
    text = source.read_text()
    filled = _VARIABLE.sub(lambda found: _value(found[1], variables, source), text)
    if filled == text:
        link(source, target)
    elif not (target.is_file() and target.read_text() == filled):
        _write(target, filled)


def _variables(name: str, line: Line) -> dict[str, str]:
    """What `name` can have filled in; nothing if it is no file with variables."""
    match Path(name).parts:
        case ("components", component, "recipe.toml"):
            return _versions(line.components.get(component, ""))
        case ("charts", _, "Chart.yaml" | "values.yaml"):
            return {
                f"{component}.{key}": value
                for component, version in line.components.items()
                for key, value in _versions(version).items()
            }
        case ("images", file) if file.endswith(".toml"):
            return {"tag": line.tag}
    return {}


def _versions(version: str) -> dict[str, str]:
    numbers = re.findall(r"\d+", version)
    minor = numbers[1] if len(numbers) > 1 else ""
    return {"version": version, "number": version.removeprefix("v"), "minor": minor}


def _value(variable: str, variables: Mapping[str, str], source: Path) -> str:
    if not variables.get(variable):
        raise RecipeError(f"{source}: ${{{variable}}} has no value here")
    return variables[variable]


def _write(target: Path, text: str) -> None:
    """A new file: the old one may be a link to a source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.new")
    unfinished.write_text(text)
    unfinished.replace(target)


def _remove_others(target: Path, kept: Mapping[str, Path]) -> None:
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in kept and path.suffix != ".new":
            path.unlink(missing_ok=True)
