"""Runs the tests as `make test` does: those on clusters and all others, at once.

A cluster's tests mostly wait for containers, the others mostly compute; both fit on two processors. Paths among the
arguments are run by one pytest, alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

OTHERS = ("tests/unit", "tests/contract", "tests/integration")
CLUSTERS = ("tests/cluster", "tests/fresh")

PASSED, NOTHING_COLLECTED = 0, 5
"""Exit codes of pytest."""


def names_paths(arguments: Sequence[str]) -> bool:
    """Whether tests are chosen by path: the part of an argument before ``::`` is a file or directory."""
    paths = [each.partition("::")[0] for each in arguments if not each.startswith("-")]
    return any(("/" in path or path.endswith(".py")) and Path(path).exists() for path in paths)


def verdict(codes: Sequence[int]) -> int:
    """The exit code of all parts: a failure's; a part in which nothing is selected is none, unless all are."""
    failed = [code for code in codes if code not in (PASSED, NOTHING_COLLECTED)]
    if failed:
        return failed[0]
    return PASSED if PASSED in codes else NOTHING_COLLECTED


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def main(arguments: Sequence[str]) -> int:
    """Run them.

    Returns:
        pytest's exit code.
    """
    if names_paths(arguments):
        return subprocess.run(_pytest(arguments), check=False).returncode
    with tempfile.TemporaryFile() as output:
        others = subprocess.Popen(_pytest([*OTHERS, *arguments]), stdout=output, stderr=subprocess.STDOUT)
        print(f"{', '.join(OTHERS)}: at the same time, told at the end", flush=True)
        clusters = subprocess.run(_pytest([*CLUSTERS, *arguments]), check=False).returncode
        code = others.wait()
        output.seek(0)
        sys.stdout.flush()
        while part := output.read(1 << 16):
            sys.stdout.buffer.write(part)
        sys.stdout.flush()
    return verdict([clusters, code])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
