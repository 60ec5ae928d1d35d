"""``python -m distribution``: the builder's command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from distribution.builder import costs, lines, prerequisites, publish, recipes, release, tables
from distribution.builder.artifacts import exclusive
from distribution.builder.errors import DistributionError
from distribution.builder.onefile import build as onefile
from distribution.builder.places import DEFAULT_LINE, Places
from distribution.builder.progress import progress_on
from distribution.builder.release import Release
from distribution.builder.schedule import Task, run_all

_MOST_JOBS = 4
"""Each Go build uses all cores by itself, and linking one of Kubernetes' programs takes 2 GB."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 if something cannot be built."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, Places], None] = options.run
    places = Places.default(options.release)
    try:
        with _alone(places) if options.uses_cache else nullcontext():
            run(options, places)
    except DistributionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is finished is kept", file=sys.stderr)
        return 130
    return 0


def _alone(places: Places) -> AbstractContextManager[None]:
    return exclusive(places.cache, lambda: print("waiting for another build to end", file=sys.stderr))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m distribution", description="Build components, images and airgap archives."
    )
    parser.add_argument(
        "--release",
        default=DEFAULT_LINE,
        metavar="LINE",
        help=f"the release line, a file of distribution/releases (default: {DEFAULT_LINE})",
    )
    parser.set_defaults(jobs=min(os.cpu_count() or 1, _MOST_JOBS), uses_cache=True)
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("prerequisites", help="tell which Debian packages are missing")
    command.add_argument("--install", action="store_true", help="install them with apt")
    command.set_defaults(run=_prerequisites)

    command = commands.add_parser("build", help="build components (default: all that `all` builds)")
    command.add_argument("names", nargs="*", metavar="component")
    command.set_defaults(run=_build)

    command = commands.add_parser(
        "images", help="build archives and what they need (default: all that are not optional)"
    )
    command.add_argument("names", nargs="*", metavar="archive")
    command.set_defaults(run=_images)

    command = commands.add_parser("all", help="build everything into build/dist but the optional archives")
    command.add_argument("--optional", action="store_true", help="the optional archives, too")
    command.set_defaults(run=_all)

    command = commands.add_parser("dist", help="make build/release/rke2.linux-amd64: rke2 in one file")
    command.set_defaults(run=_dist)

    command = commands.add_parser("list", help="show components and archives and whether they are built")
    command.set_defaults(run=_list)

    command = commands.add_parser("tables", help="write src/rke2/releases.py out of distribution/releases")
    command.set_defaults(run=_tables, uses_cache=False)

    command = commands.add_parser("timings", help="show what each artifact took when it was really built")
    command.set_defaults(run=_timings)

    command = commands.add_parser("clean", help="remove build/dist and finished artifacts")
    command.add_argument("--cache", action="store_true", help="the Go caches and Debian packages too")
    command.set_defaults(run=_clean)
    return parser


def _prerequisites(options: argparse.Namespace, places: Places) -> None:
    laid_out = lines.lay_out(places, lines.load(places))
    missing = prerequisites.missing(recipes.load_all(laid_out.components).values())
    if not missing:
        print("nothing is missing")
    elif options.install:
        prerequisites.install(missing)
    else:
        print(" ".join(missing))


def _build(options: argparse.Namespace, places: Places) -> None:
    plan = release.load(places)
    wanted = [plan.component(name) for name in options.names] or plan.wanted_components(optional=False)
    _carry_out(plan, [*release.component_tasks(plan, wanted)], options.jobs)


def _images(options: argparse.Namespace, places: Places) -> None:
    plan = release.load(places)
    wanted = [plan.archive(name) for name in options.names] or plan.wanted(optional=False)
    _carry_out(plan, release.archive_tasks(plan, wanted), options.jobs)


def _all(options: argparse.Namespace, places: Places) -> None:
    plan = release.load(places)
    packing = release.archive_tasks(plan, plan.wanted(options.optional))
    others = release.component_tasks(plan, plan.wanted_components(options.optional))
    tasks = {task.name: task for task in (*others, *packing, *release.host_tasks(plan))}
    _carry_out(plan, [*tasks.values()], options.jobs)


def _dist(options: argparse.Namespace, places: Places) -> None:
    begin = time.monotonic()
    plan = release.load(places)
    file = onefile.of(plan)
    tasks = file.tasks(plan)
    _refuse_missing_packages(plan, tasks)
    asyncio.run(_run(tasks, options.jobs))
    made = file.publish()
    done = f"{len(tasks)} steps" if tasks else "nothing to do"
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB, {done}, {time.monotonic() - begin:.1f} s")


def _carry_out(plan: Release, tasks: list[Task], jobs: int) -> None:
    begin = time.monotonic()
    _refuse_missing_packages(plan, tasks)
    asyncio.run(_run(tasks, jobs))
    publish.publish(plan)
    done = f"{len(tasks)} steps" if tasks else "nothing to do"
    print(f"{plan.places.dist}: {done}, {time.monotonic() - begin:.1f} s")


async def _run(tasks: list[Task], jobs: int) -> None:
    async with progress_on(sys.stdout) as progress:
        await run_all(tasks, jobs, progress)


def _refuse_missing_packages(plan: Release, tasks: list[Task]) -> None:
    building = [plan.components[task.name].recipe for task in tasks if task.name in plan.components]
    missing = prerequisites.missing(building) if building else []
    if missing:
        raise DistributionError(
            f"Debian packages are missing: {' '.join(missing)} "
            "(run `python -m distribution prerequisites --install`)"
        )


def _list(options: argparse.Namespace, places: Places) -> None:
    plan = release.load(places)
    for component in plan.components.values():
        recipe = component.recipe
        print(f"{_mark(component.is_built)} {recipe.name:<14} {recipe.version:<10} {recipe.purpose}")
    for archive in plan.plan.archives:
        mark = _mark(plan.archive_directory(archive).is_dir())
        optional = " (optional)" if archive.optional else ""
        print(f"{mark} {archive.stem}.tar.zst{optional}: {', '.join(archive.images)}")


def _tables(options: argparse.Namespace, places: Places) -> None:
    tables.path(places).write_text(tables.text(places))


def _timings(options: argparse.Namespace, places: Places) -> None:
    built = [(name, path) for name, path in release.load(places).artifacts() if path.is_dir()]
    print("\n".join(costs.table((name, costs.recorded(path)) for name, path in built)))


def _mark(built: bool) -> str:
    return "built  " if built else "missing"


def _clean(options: argparse.Namespace, places: Places) -> None:
    for path in [
        places.dist,
        places.release,
        places.for_all_lines.artifacts,
        places.scratch,
        *([places.cache] if options.cache else []),
    ]:
        if path.exists():
            shutil.rmtree(path)
