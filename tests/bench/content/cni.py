"""Seconds from ``rke2 server`` on an empty host to node Ready and to DNS answering in a pod, with each CNI plugin."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path

from rke2.config.cni import CNIS, NONE
from rke2.config.paths import Paths
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.bench import milestones
from tests.bench.content.options import Options
from tests.bench.milestones import MILESTONES, Figures
from tests.bench.quiet import until_quiet
from tests.cluster import workload
from tests.cluster.nodes import make_lean


def measure(options: Options) -> None:
    """Boot a node per plugin and run, and print the milestones; plugins whose archive is not built are named."""
    results: dict[str, list[Figures]] = {}
    built, missing = _plugins(options)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        image = workload.write_archive(Path(scratch, "workload.tar"))
        for _ in range(options.runs):
            for cni in built:
                print(f"{cni} …", flush=True)
                results.setdefault(cni, []).append(_boot(options.content, Path(scratch), cni, image))
    print(f"\n{'seconds from start (median)':<28}" + "".join(f"{name:>22}" for name in MILESTONES))
    for cni, runs in results.items():
        print(
            f"{cni:<28}" + "".join(f"{statistics.median(run[m] for run in runs):>22.1f}" for m in MILESTONES)
        )
    for cni in missing:
        print(f"{cni:<28}its archive is not in {options.content} (make content-all)")


def _plugins(options: Options) -> tuple[list[str], list[str]]:
    """Those whose archive is there, and those whose archive is not."""
    there = {archive.name.split(".")[0].removeprefix("rke2-images-") for archive in options.archives}
    packaged = [cni for cni in CNIS if cni.packaged and cni.name != NONE]
    return (
        [cni.name for cni in packaged if cni.archive in there],
        [cni.name for cni in packaged if cni.archive not in there],
    )


def _boot(content: Path, scratch: Path, cni: str, image: Path) -> Figures:
    """Boot a server without ingress controller: what competes with the CNI plugin for the machine is little."""
    lab = Lab(scratch / "lab", "benchcni")
    try:
        node = LabNode(lab.add_host(cni))
        node.configure()
        node.place_content(content, cni)
        make_lean(node)
        node.host.write_file(Paths().config_dir / "config.yaml", f"cni: {cni}\n")
        shutil.copy(image, node.host.path(Paths().images))
        until_quiet()
        return milestones.boot(node)
    finally:
        lab.down()
