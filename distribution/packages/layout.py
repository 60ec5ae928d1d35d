"""Which files an installation has, below its prefix, and to which package each belongs.

The paths and the parts are RKE2's; ``10-images.yaml`` and ``version`` are ours: the first names the images of this
release, by the second ``install.sh`` knows what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

Part = Literal["common", "server", "agent"]
PARTS: tuple[Part, ...] = ("common", "server", "agent")
ROLES: tuple[Part, ...] = ("server", "agent")

UNITS = "lib/systemd/system"
DROP_IN = "10-images.yaml"
_DEFAULT_PREFIX = b"/usr/local"


@dataclass(frozen=True)
class File:
    """One file of an installation.

    Args:
        path: below the prefix.
        config: an operator may change it, and keeps what was changed.
    """

    path: str
    content: bytes
    mode: int
    part: Part
    config: bool = False


@dataclass(frozen=True)
class Sources:
    """Where the files come from.

    Args:
        program: the executable that is rke2.
        packaging: directory of scripts, units and further files.
        license: the text of the license.
        drop_in: the configuration that names the images of this release.
        version: as ``rke2 --version`` tells it, such as ``v1.36.4+rke2py1``.
    """

    program: Path
    packaging: Path
    license: Path
    drop_in: Path
    version: str


def files(sources: Sources) -> Iterator[File]:
    """Every file, as it is below ``/usr/local``."""
    scripts = ("rke2-killall.sh", "rke2-uninstall.sh")
    yield File("bin/rke2", sources.program.read_bytes(), 0o755, "common")
    for name in scripts:
        yield File(f"bin/{name}", (sources.packaging / name).read_bytes(), 0o755, "common")
    for role in ROLES:
        for name in (f"rke2-{role}.service", f"rke2-{role}.env"):
            yield File(f"{UNITS}/{name}", (sources.packaging / "systemd" / name).read_bytes(), 0o644, role)
    shared = {
        "LICENSE.txt": sources.license.read_bytes(),
        DROP_IN: sources.drop_in.read_bytes(),
        "rke2-cis-sysctl.conf": (sources.packaging / "rke2-cis-sysctl.conf").read_bytes(),
        "rke2-new-cas.sh": (sources.packaging / "rke2-new-cas.sh").read_bytes(),
        "version": f"{sources.version}\n".encode(),
    }
    for name, content in shared.items():
        yield File(f"share/rke2/{name}", content, 0o644, "common")


def packaged(sources: Sources) -> Iterator[File]:
    """Every file as a package manager installs it, by its path on the machine."""
    for file in files(sources):
        content = file.content
        if file.path.endswith(".service"):
            content = content.replace(_DEFAULT_PREFIX, b"/usr")
        yield File(f"usr/{file.path}", content, file.mode, file.part)
    drop_in = f"etc/rancher/rke2/config.yaml.d/{DROP_IN}"
    yield File(drop_in, sources.drop_in.read_bytes(), 0o644, "common", config=True)


def directories(packaged: Iterable[File]) -> list[str]:
    """Directories that are rke2's own: a package manager removes them with what is in them."""
    above = {parent for file in packaged for parent in PurePosixPath(file.path).parents}
    return sorted(str(path) for path in above if {"rke2", "rancher"} & {*path.parts})


def package_version(version: str) -> str:
    """The version as both package managers order it, and as RKE2's packages have it: ``1.36.4~rke2py1``.

    A tilde sorts before everything, so that ``~rc1~…`` precedes the release.
    """
    return version.removeprefix("v").replace("-", "~").replace("+", "~")
