"""check image archives: every digest, checksum files, bills of materials, and that programs are FIPS builds"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rke2.cli import images_options
from rke2.cli.parser import Parser
from rke2.config.paths import Paths
from rke2.content.images.verification import ArchiveReport, bills_of_materials, checksums, verify_archive
from rke2.content.runtime.image import archives_in
from rke2.errors import ContentError


def run(argv: list[str]) -> int:
    """Run ``rke2 images verify [PATH…] [--fips] [-o text|json]``.

    Returns:
        0, or 1 if something is wrong.

    Raises:
        ContentError: there are no archives, or a bill of materials is not valid.
    """
    options = _parser().parse_args(argv)
    archives = [path for given in options.paths or [Paths().images] for path in _archives(given)]
    reports = _verified(archives, options.fips)
    if options.output == "json":
        print(json.dumps([_as_dict(report) for report in reports], indent=2))
    else:
        for report in reports:
            _print(report, options.fips)
    return 1 if any(report.problems for report in reports) else 0


def _parser() -> Parser:
    parser = images_options.parser(
        "verify",
        f"{__doc__}. An archive is compared with sha256sum-*.txt beside it, its images with "
        "sbom/*.spdx.json beside it, where these are.",
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="archives or directories (default: agent/images)"
    )
    parser.add_argument(
        "--fips",
        action="store_true",
        help="every Go program is static and has BoringCrypto; its modules are in the SBOM",
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _archives(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    if found := archives_in(given):
        return found
    raise ContentError(
        f"there are no image archives in {given}", "name archives, or directories with archives"
    )


def _verified(archives: list[Path], fips: bool) -> list[ArchiveReport]:
    check = partial(_verify, fips)
    if len(archives) == 1:
        return [check(archives[0])]
    # Not forked: a copy of a process with threads waits for locks that nobody holds any more.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return list(pool.map(check, archives))


def _verify(fips: bool, archive: Path) -> ArchiveReport:
    beside = archive.parent
    boms = bills_of_materials(beside / "sbom") if (beside / "sbom").is_dir() else {}
    return verify_archive(archive, sums=checksums(beside), boms=boms, programs=fips)


def _print(report: ArchiveReport, fips: bool) -> None:
    count = sum(map(len, report.programs.values()))
    programs = f", {count} Go programs" if fips else ""
    state = f"{len(report.problems)} PROBLEMS" if report.problems else "ok"
    print(f"{report.archive}: {len(report.images)} images{programs}: {state}")
    for name, found in report.programs.items():
        proven = sum(not program.why_not_fips for program in found)
        print(f"  {name}: {proven} of {len(found)} Go programs are static with BoringCrypto")
    for line in report.exempt:
        print(f"  exempt: {line}")
    for line in report.problems:
        print(f"  problem: {line}", file=sys.stderr)


def _as_dict(report: ArchiveReport) -> dict[str, Any]:
    return {
        "archive": str(report.archive),
        "images": report.images,
        "programs": {
            name: [
                {"path": program.path, "go": program.version, "problem": program.why_not_fips}
                for program in found
            ]
            for name, found in report.programs.items()
        },
        "exempt": report.exempt,
        "problems": report.problems,
    }
