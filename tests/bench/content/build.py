"""Seconds to build each component: cold as the builder recorded it, warm as a build with nothing to do."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from distribution.builder import costs, release
from distribution.builder.places import Places
from tests.bench.content.options import Options


def measure(options: Options) -> None:
    """Print both.

    A record with few compiled packages is of a component that was linked again out of Go's build cache; for all of it,
    ``XDG_CACHE_HOME=$(mktemp -d) make content`` first.
    """
    places = Places.default()
    built = [(name, path) for name, path in release.load(places).artifacts() if path.is_dir()]
    print("when it was really built:")
    print("\n".join(costs.table((name, costs.recorded(path)) for name, path in built)))
    print(f"\n{'with nothing changed (median)':<30}{'seconds':>9}{'CPU s':>9}", flush=True)
    for label, arguments in _warm(places).items():
        seconds, cpu = zip(*(_timed(arguments) for _ in range(options.runs)), strict=True)
        print(f"{label:<30}{statistics.median(seconds):>9.2f}{statistics.median(cpu):>9.2f}", flush=True)


def _warm(places: Places) -> dict[str, list[str]]:
    """The builder's arguments by what they build; only what is built, for anything else would be built now."""
    components = release.load(places).components.values()
    each = {item.name: ["build", item.name] for item in components if item.is_built}
    return {**each, "everything": ["all"]}


def _timed(arguments: list[str]) -> tuple[float, float]:
    """Wall-clock and CPU seconds of the builder."""
    began, before = time.monotonic(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "distribution", *arguments],
        cwd=Places.default().repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "nothing to do" in done.stdout, done.stdout + done.stderr
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, used
