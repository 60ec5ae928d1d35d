"""rke2 itself in the one file, compiled, with the docstrings that its help is made of; without its sources."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from distribution.builder import keys
from distribution.builder.artifacts import Store
from distribution.builder.errors import DistributionError
from distribution.builder.onefile import payload
from distribution.builder.onefile.runtime import Runtime, compile_tree
from distribution.builder.places import Places

_STORE_NAME = "onefile-linked"
FILE_NAME = "rke2.linux-amd64"
_COMMIT = re.compile(r'^COMMIT = ".*"$', re.MULTILINE)
_LINE = re.compile(r"^LINE = .*$", re.MULTILINE)


def file_key(runtime: Runtime, entry_key: str, commit: str, places: Places) -> str:
    """Everything that decides the bytes of the file."""
    here = Path(__file__).parent
    code = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    start = (places.onefile / "start.py").read_bytes()
    return keys.of(
        runtime.key, entry_key, commit, places.line, *map(keys.of_tree, places.packed), start, *code
    )


def kept(key: str, places: Places) -> Path:
    """Where the finished file of this key is, if it was made."""
    return Store(places.artifacts).path(_STORE_NAME, key) / FILE_NAME


async def write(runtime: Runtime, entry: Path, key: str, commit: str, places: Places) -> None:
    """Pack rke2 and link the file.

    Args:
        entry: the entry program.
        commit: what `rke2 --version` tells.
    """
    with (
        tempfile.TemporaryDirectory(prefix="rke2-onefile-") as scratch,
        Store(places.artifacts).create(_STORE_NAME, key) as directory,
    ):
        tree = Path(scratch, "tree")
        modules = _lay(tree, runtime, commit, places)
        await compile_tree(runtime.tree, modules, "whole")
        await asyncio.to_thread(_link, tree, runtime, entry, directory / FILE_NAME)


def _lay(tree: Path, runtime: Runtime, commit: str, places: Places) -> Path:
    (library,) = (runtime.tree / "lib").glob("python3.*")
    modules = tree / "lib" / library.name
    for package in places.packed:
        for source in keys.source_files(package):
            target = modules / package.name / source.relative_to(package)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    version = modules / "rke2/version.py"
    version.write_text(versioned(version.read_text(), commit, places.line))
    shutil.copyfile(places.onefile / "start.py", tree / "start.py")
    (tree / "licenses/rke2").mkdir(parents=True)
    shutil.copyfile(places.repository / "LICENSE", tree / "licenses/rke2/LICENSE")
    return modules


def versioned(text: str, commit: str, line: str) -> str:
    """``rke2/version.py`` of this commit and release line.

    Raises:
        DistributionError: `text` has no place for them: the file would call itself another release.
    """
    for place, filled in ((_COMMIT, f'COMMIT = "{commit}"'), (_LINE, f'LINE = "{line}"')):
        text, count = place.subn(filled, text)
        if count != 1:
            raise DistributionError(f"version.py has {count} lines like {place.pattern}, not one")
    return text


def _link(tree: Path, runtime: Runtime, entry: Path, out: Path) -> None:
    frame = tree.parent / "own.frame"
    size = payload.write_frame(tree, frame, known=runtime.tree, last=True)
    payload.link(entry, [runtime.frame, frame], runtime.size + size, out)


def commit_of(repository: Path) -> str:
    """The commit that is checked out, as `packaging/install.sh` finds it; ``HEAD`` where there is none."""
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "HEAD"
    return done.stdout.strip() if done.returncode == 0 else "HEAD"
