"""``python -m distribution.packages``: ``build/release``, whole, from the program and ``build/dist``."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from distribution.builder import lines
from distribution.builder.linking import link
from distribution.builder.places import DEFAULT_LINE, Places
from distribution.packages import deb, layout, rpm, staging, tarball

_REPOSITORY = Path(__file__).parents[2]
PROGRAM = "rke2.linux-amd64"
SUMS = "sha256sum-amd64.txt"
_IMAGES = ("rke2-images*.linux-amd64.tar.zst", "rke2-images*.linux-amd64.txt")
_PACKAGES = ("*.deb", "*.rpm")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the release; 1 if something for it is missing."""
    sources, dist, target = planned(_parser().parse_args(arguments))
    for needed in (sources.program, sources.drop_in):
        if not needed.is_file():
            print(
                f"error: {needed} is not there; build it with `make content` and `make dist`", file=sys.stderr
            )
            return 1
    try:
        _write(sources, dist, target)
    except subprocess.CalledProcessError as error:
        print(f"error: {error.cmd[0]} failed with {error.returncode}\n{error.stderr or ''}", file=sys.stderr)
        return 1
    return 0


def planned(options: argparse.Namespace) -> tuple[layout.Sources, Path, Path]:
    """What the release of a line is made from, its built distribution, and where it goes."""
    places = Places.default(options.line)
    dist, target = options.dist or places.dist, options.release or places.release
    sources = layout.Sources(
        program=options.program or target / PROGRAM,
        packaging=_REPOSITORY / "packaging",
        license=_REPOSITORY / "LICENSE",
        drop_in=dist / layout.DROP_IN,
        version=options.version or lines.load(places).version,
    )
    return sources, dist, target


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m distribution.packages", description=__doc__)
    parser.add_argument("--line", default=DEFAULT_LINE, help="the release line (default: %(default)s)")
    parser.add_argument("--dist", type=Path, help="the built distribution (default: that of the line)")
    parser.add_argument("--release", type=Path, help="where it goes (default: beside the distribution)")
    parser.add_argument("--program", type=Path, help=f"the executable (default: {PROGRAM} in the release)")
    parser.add_argument("--version", help="default: that of the line")
    return parser


def _write(sources: layout.Sources, dist: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    version = layout.package_version(sources.version)
    # Removed, not written over: another checkout may have the same files by hard links.
    for pattern in (*_IMAGES, *_PACKAGES, "install.sh", f"{PROGRAM}.tar.gz", SUMS):
        for old in target.glob(pattern):
            old.unlink()
    for pattern in _IMAGES:
        for source in sorted(dist.glob(pattern)):
            link(source, target / source.name)
    if sources.program != target / PROGRAM:
        link(sources.program, target / PROGRAM)
    staging.write(target / "install.sh", (sources.packaging / "install.sh").read_bytes(), 0o755)
    tarball.write(layout.files(sources), target / f"{PROGRAM}.tar.gz")
    packaged = [*layout.packaged(sources)]
    for build in (deb.build, rpm.build):
        with tempfile.TemporaryDirectory() as scratch:
            build(packaged, version, Path(scratch), target)
    (target / SUMS).write_text("".join(_sums(target)))


def _sums(directory: Path) -> Iterator[str]:
    for path in sorted(directory.iterdir()):
        if path.is_file() and path.name != SUMS:
            with path.open("rb") as file:
                yield f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n"


if __name__ == "__main__":
    sys.exit(main())
