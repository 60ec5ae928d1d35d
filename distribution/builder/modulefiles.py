"""Files of a chart that come out of pinned Go modules, so that CRDs and their controller never drift apart.

A chart directory lists them in ``from-modules.toml``::

    [[copy]]
    component = "calico"                        # its recipe names the module, its go.mod pins the version
    files = "libcalico-go/config/crd/*.yaml"    # inside the module
    into = "templates/crds"                     # inside the chart
    module = "example.com/api"                  # if not the recipe's: another one that its go.mod pins
"""

from __future__ import annotations

from pathlib import Path

import msgspec

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


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``from-modules.toml``."""

    copies: tuple[Copy, ...] = msgspec.field(name="copy")


def collect(directory: Path, components: Path, gomodcache: Path) -> dict[str, bytes]:
    """The files that `directory`'s listing names, by path relative to the chart; empty without a listing.

    Raises:
        RecipeError: a pattern matches nothing, or two files would get the same name.
        DistributionError: Go cannot provide a module.
    """
    listing = directory / LISTING
    if not listing.exists():
        return {}
    collected: dict[str, bytes] = {}
    for copy in read_toml(listing, Listing).copies:
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


def _for_helm(target: str, content: bytes) -> bytes:
    """Below ``templates/`` Helm would take ``{{`` (found in CRD descriptions) for one of its own actions."""
    return content.replace(b"{{", b'{{ "{{" }}') if target.startswith("templates/") else content
