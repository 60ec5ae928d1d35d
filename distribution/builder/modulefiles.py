"""Files of a chart that come out of pinned Go modules, so that CRDs and their controller never drift apart.

A chart directory lists them in ``from-modules.toml``::

    [[copy]]
    component = "calico"                        # its recipe names the module, its go.mod pins the version
    files = "libcalico-go/config/crd/*.yaml"    # inside the module
    into = "templates/crds"                     # inside the chart
    module = "example.com/api"                  # if not the recipe's: another one that its go.mod pins

    [[chart]]                                   # a whole chart, with its directories
    component = "cilium"
    files = "install/kubernetes/cilium"
    without = ["README*"]                       # patterns of files left out (`fnmatch`; ``*`` crosses slashes)

Of a whole chart, a file that our directory has, too, is ours; the two ``values.yaml`` become one, in which ours win.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import msgspec
import yaml

from distribution.builder import gomodules
from distribution.builder.errors import RecipeError
from distribution.builder.recipes import load, read_toml

LISTING = "from-modules.toml"


class Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which files of which component's module go where; see the module's docstring."""

    component: str
    files: str
    into: str
    module: str = ""


class WholeChart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which component's module has a chart that is packed as it is; see the module's docstring."""

    component: str
    files: str
    without: tuple[str, ...] = ()


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``from-modules.toml``."""

    copies: tuple[Copy, ...] = msgspec.field(name="copy", default=())
    charts: tuple[WholeChart, ...] = msgspec.field(name="chart", default=())


def collect(directory: Path, components: Path, gomodcache: Path) -> dict[str, bytes]:
    """The files that `directory`'s listing names, by path relative to the chart; empty without a listing.

    Raises:
        RecipeError: a pattern matches nothing, or two files would get the same name.
        DistributionError: Go cannot provide a module.
    """
    listing = directory / LISTING
    if not listing.exists():
        return {}
    content = read_toml(listing, Listing)
    collected: dict[str, bytes] = {}
    for chart in content.charts:
        recipe = load(components / chart.component)
        source = gomodules.directory(recipe.directory, recipe.module, gomodcache) / chart.files
        if not source.is_dir():
            raise RecipeError(f"{listing}: {chart.files!r} is no directory of {recipe.module}")
        collected |= _whole_chart(source, chart.without, directory)
    for copy in content.copies:
        recipe = load(components / copy.component)
        module = copy.module or recipe.module
        found = sorted(gomodules.directory(recipe.directory, module, gomodcache).glob(copy.files))
        if not found:
            raise RecipeError(f"{listing}: {copy.files!r} matches nothing in {module}")
        for path in found:
            target = f"{copy.into.strip('/')}/{path.name}"
            if target in collected or (directory / target).exists():
                raise RecipeError(f"{listing}: {target} is there already")
            collected[target] = _for_helm(target, path.read_bytes())
    return collected


def _whole_chart(source: Path, without: tuple[str, ...], ours: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name = path.relative_to(source).as_posix()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in without):
            continue
        if name == "values.yaml" and (ours / name).exists():
            found[name] = _merged(path.read_bytes(), (ours / name).read_bytes())
        elif not (ours / name).exists():
            found[name] = path.read_bytes()
    return found


def _merged(values: bytes, ours: bytes) -> bytes:
    result = merge(yaml.safe_load(values), yaml.safe_load(ours) or {})
    return yaml.safe_dump(result, sort_keys=False).encode()


def merge(values: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """`values` with what `ours` says; maps are merged, everything else (lists, too) is replaced, as Helm does."""
    result = dict(values)
    for key, value in ours.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _for_helm(target: str, content: bytes) -> bytes:
    """Below ``templates/`` Helm would take ``{{`` (found in CRD descriptions) for one of its own actions."""
    return content.replace(b"{{", b'{{ "{{" }}') if target.startswith("templates/") else content
