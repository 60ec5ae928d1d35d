"""``build/dist``: what is built now, under the names that operators know.

::

    rke2-images-<name>.linux-amd64.tar.zst   airgap archives          10-images.yaml   config drop-in
    rke2-images-<name>.linux-amd64.txt       their image references   bin/             every program
    sha256sum-amd64.txt                      checksums                sbom/            one SPDX document per image
    hosts/<name>.tar                         root file systems for `rke2 lab`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from distribution.builder import images
from distribution.builder.archives import Archive
from distribution.builder.linking import link
from distribution.builder.release import Release

_SUMS, _DROP_IN = Path("sha256sum-amd64.txt"), Path("10-images.yaml")


def publish(release: Release) -> None:
    """Make ``build/dist`` show exactly what is built now, by hard links where the file system allows it."""
    dist = release.places.dist
    dist.mkdir(parents=True, exist_ok=True)
    built = [archive for archive in release.plan.archives if release.archive_directory(archive).is_dir()]
    wanted = dict(_published(release, built))
    for path, source in wanted.items():
        link(source, dist / path)
    sums = [f"{(release.archive_directory(a) / 'sha256').read_text()}  {a.stem}.tar.zst\n" for a in built]
    _write(dist / _SUMS, "".join(sums))
    _write(dist / _DROP_IN, drop_in(release))
    _remove_others(dist, {*wanted, _SUMS, _DROP_IN})


def drop_in(release: Release) -> str:
    """A file for ``config.yaml.d``: the flags that make a node use these images."""
    lines = [
        f"{flag}: {images.reference(release.descriptions[image], release.components)}\n"
        for flag, image in release.plan.flags.items()
    ]
    return "# The images of this build, by the flags that name them.\n" + "".join(lines)


def _published(release: Release, built: Iterable[Archive]) -> Iterator[tuple[Path, Path]]:
    for archive in built:
        directory = release.archive_directory(archive)
        for name in (f"{archive.stem}.tar.zst", f"{archive.stem}.txt"):
            yield Path(name), directory / name
        for path in sorted((directory / "sbom").iterdir()):
            yield Path("sbom", path.name), path
    for name, host in release.hosts.items():
        if host.is_built:
            yield Path("hosts", f"{name}.tar"), host.layer
    for component in release.components.values():
        if component.is_built:
            for binary in component.recipe.binaries:
                for name in (binary.name, *binary.names):
                    yield Path("bin", name), component.binary(binary.name)


def _write(target: Path, text: str) -> None:
    """A new file: copies of ``build/dist`` by hard links (``cp -al``) keep the old one."""
    target.unlink(missing_ok=True)
    target.write_text(text)


def _remove_others(dist: Path, kept: set[Path]) -> None:
    for path in dist.rglob("*"):
        if path.is_file() and path.relative_to(dist) not in kept:
            path.unlink()
