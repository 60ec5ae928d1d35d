"""``make bench-content``: what the distribution's content costs to build, to store, to import, and in use.

Options: ``--only sizes build import cni ingress`` (all), ``--runs N`` (2), ``--content build/dist``, ``--all`` for the
ways to import that lost.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tests.bench.content import build, cni, imports, ingress, sizes
from tests.bench.content.options import Options

PARTS: dict[str, Callable[[Options], None]] = {
    "sizes": sizes.measure,
    "build": build.measure,
    "import": imports.measure,
    "cni": cni.measure,
    "ingress": ingress.measure,
}
"""The parts in the order of the report: each measures and prints."""


def main() -> None:
    arguments = _arguments()
    options = Options(arguments.content.absolute(), arguments.runs, arguments.all)
    for name in arguments.only or PARTS:
        print(f"\n--- {name} ---", flush=True)
        PARTS[name](options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.content", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--content", type=Path, default=Path("build/dist"))
    parser.add_argument("--all", action="store_true", help="also the ways to import that were tried and lost")
    return parser.parse_args()


if __name__ == "__main__":
    main()
