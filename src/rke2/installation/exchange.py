"""The files of an installation, exchanged one by one, each by a rename; and those before them, kept and put back.

Everything here may be cut off at any moment and done again: sources and what is kept are never moved, only copied.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import msgspec

from rke2.config.paths import Paths
from rke2.errors import ConfigError
from rke2.installation.journal import FilePlace, directory, sync

DROP_IN = PurePosixPath("share/rke2/10-images.yaml")
_LAST = (PurePosixPath("bin/rke2"), PurePosixPath("share/rke2/version"))
_PART = ".rke2-upgrade"


def places(
    unpacked: Path, files: Iterable[PurePosixPath], prefix: Path, archives: Iterable[Path], paths: Paths
) -> list[FilePlace]:
    """Where every file of a release goes, in the order in which they are exchanged: the program comes last.

    Variables of units are the operator's, and stay; a unit is exchanged where there is one, as `install.sh` may have
    put it elsewhere.
    """
    ordered = sorted(files, key=lambda file: (file in _LAST, file))
    found = [FilePlace(str(unpacked / DROP_IN), str(drop_in(paths)))]
    found += [FilePlace(str(path), str(paths.images / path.name), linked=True) for path in archives]
    for file in ordered:
        target = prefix / file
        if file.suffix != ".env" and (file.suffix != ".service" or target.exists()):
            found.append(FilePlace(str(unpacked / file), str(target)))
    return found


def drop_in(paths: Paths) -> Path:
    """The configuration that names the images of a release."""
    return paths.config_dir / "config.yaml.d" / "10-images.yaml"


def refuse_changed_drop_in(prefix: Path, paths: Paths) -> None:
    """See that nobody has changed the names of the images.

    Raises:
        ConfigError: somebody has; the new program would start the images of the former release.
    """
    installed, used = prefix / DROP_IN, drop_in(paths)
    if used.exists() and installed.exists() and used.read_bytes() != installed.read_bytes():
        raise ConfigError(
            f"{used} was changed here: it names the images of the present release, and would keep doing so",
            f"move what was changed to another file of {used.parent}, and copy {installed} over it",
        )


def keep(data_dir: Path, found: Iterable[FilePlace]) -> tuple[FilePlace, ...]:
    """Copy what stands at the places now to ``upgrade/former``, whole or not at all.

    Raises:
        OSError: there is no room.
    """
    former = directory(data_dir) / "former"
    part = former.with_name(".former.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    kept = []
    for number, place in enumerate(found):
        target = Path(place.target)
        name = f"{number:02}-{target.name}" if target.exists() else ""
        if name:
            _copy(target, part / name, linked=place.linked)
        kept.append(msgspec.structs.replace(place, former=name))
    sync(part)
    shutil.rmtree(former, ignore_errors=True)
    part.rename(former)
    sync(former.parent)
    return tuple(kept)


def switch(kept: Iterable[FilePlace]) -> None:
    """Put the new files in place; raises OSError."""
    for place in kept:
        _put(Path(place.source), Path(place.target), linked=place.linked)
    _reload_units()


def put_back(data_dir: Path, kept: Iterable[FilePlace]) -> None:
    """Put the former files in place, and take away what was not there before; raises OSError."""
    former = directory(data_dir) / "former"
    for place in kept:
        if place.former:
            _put(former / place.former, Path(place.target), linked=place.linked)
        else:
            _fresh(Path(place.target)).unlink(missing_ok=True)
            Path(place.target).unlink(missing_ok=True)
    _reload_units()


def _put(source: Path, target: Path, *, linked: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = _fresh(target)
    fresh.unlink(missing_ok=True)
    _copy(source, fresh, linked=linked)
    if fresh.samefile(target) if target.exists() else False:
        fresh.unlink()  # rename(2) of two names of one file does nothing, and would leave both
        return
    fresh.replace(target)
    sync(target.parent)


def _fresh(target: Path) -> Path:
    """Where a file is written before its rename. Hidden: a node imports what appears among its archives."""
    return target.with_name(f".{target.name}{_PART}")


def _copy(source: Path, target: Path, *, linked: bool) -> None:
    if linked:
        with contextlib.suppress(_OtherFileSystem):
            return _link(source, target)
    shutil.copy2(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return None


class _OtherFileSystem(Exception):
    pass


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise _OtherFileSystem from error


def _reload_units() -> None:
    """Have systemd read the units again, where there is one; a unit that it does not read again still starts rke2."""
    if Path("/run/systemd/system").is_dir():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["systemctl", "daemon-reload"], check=False, timeout=60)
