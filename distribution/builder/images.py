"""Image descriptions (``images/<name>.toml``) and the images they give.

An image is its bases, one layer for what the description itself states (directories, links, texts), and one
layer per binary: a component that changes replaces its own layers only, and containerd unpacks layers side by
side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from distribution.builder import keys, layers
from distribution.builder.components import Component
from distribution.builder.errors import RecipeError
from distribution.builder.layers import Entry, Layer
from distribution.builder.oci import Image, ImageLayer, RunConfig
from distribution.builder.recipes import read_toml
from distribution.builder.rootfs import Base

PREFIX = "docker.io/rke2py/"
_LABEL = "org.opencontainers.image."


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of an image: exactly one of `binary`, `tree`, `target` and `text`.

    Attributes:
        binary: ``<component>/<binary>``.
        tree: ``<component>/<tree>``; `path` is its directory then.
        target: makes it a symbolic link.
        text: the content.
        uid: owner of a tree's files, for programs that write them.
    """

    path: str
    binary: str = ""
    tree: str = ""
    target: str = ""
    text: str | None = None
    mode: int = 0o755
    uid: int = 0


class Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory that must exist with a certain mode or owner."""

    path: str
    mode: int = 0o755
    uid: int = 0


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an image is made of and runs.

    Attributes:
        component: gives tag, source and license.
        tag: in place of the component's version.
        bases: names of root file systems (`rootfs`), lowest first.
        charts: directory in the image that receives the packed charts.
    """

    name: str
    title: str
    component: str
    tag: str = ""
    bases: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    env: tuple[str, ...] = ()
    charts: str = ""
    files: tuple[File, ...] = msgspec.field(name="file", default=())
    directories: tuple[Directory, ...] = msgspec.field(name="directory", default=())

    @property
    def binaries(self) -> tuple[tuple[str, str, File], ...]:
        """Component, binary and file of each binary in it."""
        return tuple((*_split(file.binary), file) for file in self.files if file.binary)

    @property
    def trees(self) -> tuple[tuple[str, str, File], ...]:
        """Component, tree and directory of each tree in it."""
        return tuple((*_split(file.tree), file) for file in self.files if file.tree)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of all components it needs, its own first."""
        named = (component for component, _, _ in (*self.binaries, *self.trees))
        return tuple(dict.fromkeys([self.component, *named]))


@dataclass(frozen=True)
class Stock:
    """What images are made from, all of it built."""

    components: Mapping[str, Component]
    bases: Mapping[str, Base]
    charts: Callable[[], Iterable[Path]]


def load_all(images: Path) -> dict[str, Description]:
    """Every description in the directory `images`, by image name.

    Raises:
        RecipeError: naming file and key.
    """
    found = {}
    for path in sorted(images.glob("*.toml")):
        description = read_toml(path, Description)
        problem = _problem(description, path.stem)
        if problem:
            raise RecipeError(f"{path}: {problem}")
        found[description.name] = description
    return found


def reference(description: Description, components: Mapping[str, Component]) -> str:
    """The image's full name as containerd stores it."""
    tag = description.tag or components[description.component].recipe.version
    return f"{PREFIX}{description.name}:{tag}"


def assemble(description: Description, stock: Stock) -> Image:
    """The image; reads every file of it once for the digests."""
    run = RunConfig(
        description.entrypoint, description.cmd, description.user, description.workdir, description.env
    )
    return Image(
        reference(description, stock.components),
        tuple(_layers(description, stock)),
        run,
        _labels(description, stock.components[description.component]),
    )


def _layers(description: Description, stock: Stock) -> Iterator[ImageLayer]:
    for name in description.bases:
        base = stock.bases[name]
        yield ImageLayer(base.blob, base.digest, f"Debian packages: {' '.join(base.rootfs.packages)}")
    # What the description states comes after the trees: owners and modes of directories that are in them.
    for component, tree, file in description.trees:
        source = stock.components[component]
        yield _layer(tuple(_tree_entries(file, source.tree(tree))), f"{component}: {file.path}")
    stated = tuple(_stated(description))
    if stated:
        yield _layer(stated, "directories, links and texts")
    for component, binary, file in description.binaries:
        source = stock.components[component]
        version = f"{component} {source.recipe.version}: {file.path}"
        yield _layer((Entry(file.path, file.mode, content=source.binary(binary)),), version)
    if description.charts:
        yield _layer(tuple(_chart_entries(description.charts, stock.charts())), "charts")


def _layer(entries: tuple[Entry, ...], created_by: str) -> ImageLayer:
    layer = Layer(entries)
    return ImageLayer(layer, layers.digest_of(layer), created_by)


def _stated(description: Description) -> Iterator[Entry]:
    for directory in description.directories:
        yield layers.directory(directory.path, directory.mode, directory.uid)
    for file in description.files:
        if file.target:
            yield layers.symlink(file.path, file.target)
        elif file.text is not None:
            yield Entry(file.path, file.mode, content=file.text.encode())


def _tree_entries(file: File, tree: Path) -> Iterator[Entry]:
    for path in tree.rglob("*"):
        if path.is_file():
            name = f"{file.path}/{path.relative_to(tree)}"
            yield Entry(name, 0o644, content=path, uid=file.uid, gid=file.uid)


def _chart_entries(directory: str, charts: Iterable[Path]) -> Iterator[Entry]:
    for path in charts:
        yield Entry(f"{directory}/{path.name}", 0o644, content=path)


def _labels(description: Description, component: Component) -> dict[str, str]:
    recipe = component.recipe
    labels = {
        "title": description.title,
        "version": description.tag or recipe.version,
        "source": recipe.source,
        "revision": _revision(component),
        "licenses": recipe.license,
    }
    return {_LABEL + name: value for name, value in labels.items() if value}


def _revision(component: Component) -> str:
    """What was compiled, exactly: the module's checksum as go.sum has it; of own code a hash of its files."""
    path, _ = component.recipe.expected_module(component.recipe.binaries[0])
    modules = component.modules(component.recipe.binaries[0].name)
    checksums = [module.checksum for module in modules if module.path == path and module.checksum]
    return checksums[0] if checksums else keys.of_tree(component.recipe.directory)


def _split(binary: str) -> tuple[str, str]:
    component, _, name = binary.partition("/")
    return component, name


def _problem(description: Description, stem: str) -> str:
    if description.name != stem:
        return f"`name` is {description.name!r}, the file is {stem!r}"
    for file in description.files:
        if bool(file.binary) + bool(file.tree) + bool(file.target) + (file.text is not None) != 1:
            return f"`file` {file.path!r}: exactly one of `binary`, `tree`, `target` and `text` is needed"
        for kind in ("binary", "tree"):
            if getattr(file, kind) and not all(_split(getattr(file, kind))):
                return f"`file` {file.path!r}: `{kind}` must be <component>/<{kind}>"
    return ""
