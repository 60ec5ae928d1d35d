"""Time from an empty (or prepared) host to a working cluster: ``rke2 server`` against ``kubeadm init``.

Both on the same kind of test host with the same binaries, images, CNI and CoreDNS. Run with `make bench`; options:
``--runs N`` (2), ``--only rke2|kubeadm``, ``--content build/dist``, ``--picture FILE``: the timeline of the first cold
boot of rke2, once all its pods run, as a picture (docs/images/boot.svg).
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

import rke2
from rke2.config.paths import Paths
from rke2.lifecycle.progress import read_status
from rke2.status.timeline.bars import Timeline
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.bench import milestones
from tests.bench.idle import idle_figures, start_up
from tests.bench.kubeadm import KUBECONFIG, Kubeadm
from tests.bench.milestones import MILESTONES, Figures
from tests.bench.picture import svg
from tests.bench.render import render_charts
from tests.cluster import workload

_PATHS = Paths()
_SOURCES = Path(rke2.__file__).parents[1]


def main() -> None:
    options = _options()
    # As an installed rke2 is; on a new host, modules would be compiled again at each start, which takes a second.
    compileall.compile_dir(_SOURCES, quiet=1)
    content = options.content.absolute()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        bench = Bench(content, Path(scratch))
        systems = {"rke2": bench.rke2, "kubeadm": bench.kubeadm}
        chosen = {name: run for name, run in systems.items() if options.only in (None, name)}
        results: dict[tuple[str, str], list[Figures]] = {}
        for round_number in range(options.runs):
            for kind in ("cold", "prepared"):
                for name, run in chosen.items():
                    print(f"run {round_number + 1}/{options.runs}: {name}, {kind} content …", flush=True)
                    results.setdefault((name, kind), []).append(run(prepared=kind == "prepared"))
    _print(results)
    if options.picture and bench.timeline:
        options.picture.write_text(svg(bench.timeline))
    print("\nsupervisor and command line (rke2)")
    for name, value in {**bench.idle, **start_up()}.items():
        print(f"  {name:<44} {value}")


class Bench:
    """Boots both systems, each time on a new host.

    Args:
        content: the built distribution.
        scratch: for the probe's image and the rendered charts.
    """

    def __init__(self, content: Path, scratch: Path) -> None:
        self._content = content
        self._lab = Lab(scratch / "lab", "bench")
        self._probe_image = workload.write_archive(scratch / "workload.tar")
        self._charts = render_charts(content, scratch / "charts.yaml").read_text()
        self.idle: dict[str, str] = {}
        self.timeline: Timeline | None = None

    def rke2(self, *, prepared: bool) -> Figures:
        return self._on_host("rke2", lambda host: self._rke2(host, prepared))

    def kubeadm(self, *, prepared: bool) -> Figures:
        return self._on_host("kubeadm", lambda host: self._kubeadm(host, prepared))

    def _on_host(self, name: str, run: Callable[[LabHost], Figures]) -> Figures:
        try:
            return run(self._lab.add_host(name))
        finally:
            self._lab.down()

    def _rke2(self, host: LabHost, prepared: bool) -> Figures:
        node = LabNode(host)
        node.configure()
        node.place_content(self._content)
        shutil.copy(self._probe_image, host.path(_PATHS.images))
        if prepared:
            _import_only(node)
        figures = milestones.boot(node)
        if not (prepared or self.timeline):
            self.timeline = _timeline(node)
        if not self.idle:
            self.idle = idle_figures(node)
        return figures

    def _kubeadm(self, host: LabHost, prepared: bool) -> Figures:
        kubeadm = Kubeadm(host, self._content, self._charts)
        kubeadm.prepare()
        image = Path("/var/lib/rancher/workload.tar")
        shutil.copy(self._probe_image, host.path(image))
        if prepared:
            kubeadm.start_containerd()
            kubeadm.import_images(image)
        started = time.time()
        probe = milestones.probe(host, KUBECONFIG)
        if not prepared:
            kubeadm.start_containerd()
            kubeadm.import_images(image)
        kubeadm.init()
        figures = milestones.since(started, probe)
        kubeadm.stop()
        return figures


def _timeline(node: LabNode) -> Timeline:
    """Of the boot that has just ended, when all its pods run."""
    node.rke2("status", "--wait")
    told = node.rke2("status", "--timeline", "-o", "json")
    return msgspec.json.decode(told.stdout, type=Timeline)


def _import_only(node: LabNode) -> None:
    """Have the runtime image unpacked and all images in containerd, and nothing else."""
    without_kubelet = _PATHS.config_dir / "config.yaml"
    node.host.write_file(without_kubelet, "kubelet-path: /bin/false\n")
    server, deadline = node.start(), time.monotonic() + 120
    while not _imported(node) and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    node.signal(signal.SIGTERM)
    server.wait(30)
    node.host.path(without_kubelet).unlink()
    node.host.path(_PATHS.admin_kubeconfig).unlink()
    for path in (_PATHS.server, _PATHS.pod_manifests):
        shutil.rmtree(node.host.path(path))


def _imported(node: LabNode) -> bool:
    status = read_status(node.host.path(_PATHS.status))
    return status is not None and any(
        phase.name == "images" and phase.state == "done" for phase in status.phases
    )


def _print(results: dict[tuple[str, str], list[Figures]]) -> None:
    print(f"\n{'seconds from start (median)':<34}{'rke2':>10}{'kubeadm':>10}{'ratio':>8}")
    for kind in ("cold", "prepared"):
        for milestone in MILESTONES:
            medians = {
                name: statistics.median(run[milestone] for run in results[name, kind])
                for name in ("rke2", "kubeadm")
                if (name, kind) in results
            }
            ratio = medians["rke2"] / medians["kubeadm"] if len(medians) == 2 else float("nan")
            cells = "".join(f"{medians.get(name, float('nan')):>10.1f}" for name in ("rke2", "kubeadm"))
            print(f"{kind + ': ' + milestone:<34}{cells}{ratio:>8.2f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--only", choices=("rke2", "kubeadm"))
    parser.add_argument("--content", type=Path, default=Path("build/dist"))
    parser.add_argument("--picture", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
