"""Time from ``rke2 agent`` to its node Ready against ``kubeadm join``, and from nothing to three servers.

Both joins on the same kind of test host, to a control plane that is settled, with the same binaries, images and CNI.
*Cold* starts from image archives, *prepared* from images that are in containerd already. Run with `make bench-join`;
options: ``--runs N`` (2), ``--only rke2|kubeadm|servers``, ``--content build/dist``.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2.config.paths import Paths
from rke2.lifecycle.progress import read_status
from rke2_lab.cluster import LabCluster
from rke2_lab.follow import tail, until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode, Role
from tests.bench.kubeadm import KUBECONFIG, Kubeadm
from tests.bench.quiet import until_quiet
from tests.bench.render import render_charts
from tests.bench.watch import Watch

KINDS = ("cold", "prepared")
SERVERS = ("server-0", "server-1", "server-2")
BOOT_SECONDS = 420.0
IMPORT_SECONDS = 180.0
Figures = dict[str, float]
_PATHS = Paths()


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        bench = Bench(options.content.absolute(), Path(scratch), options.runs)
        systems = {"rke2": bench.rke2, "kubeadm": bench.kubeadm}
        results = {name: run() for name, run in systems.items() if options.only in (None, name)}
        servers = bench.servers() if options.only in (None, "servers") else []
    if results:
        _print_joins(results)
    if servers:
        _print_servers(servers)
    for node, phases in bench.phases.items():
        print(f"\nwhere the time goes, {node} (seconds from start, last run)\n{phases}", end="")


class Bench:
    """Joins nodes, each on a new host.

    Args:
        content: the built distribution.
        scratch: for the labs and the rendered charts.
        runs: of each kind.

    Attributes:
        phases: of the last node of each kind, for people.
    """

    def __init__(self, content: Path, scratch: Path, runs: int) -> None:
        self._content, self._scratch, self._runs = content, scratch, runs
        self.phases: dict[str, str] = {}

    # --- rke2 --------------------------------------------------------------------------------------
    def rke2(self) -> dict[str, list[Figures]]:
        """One server, which agents join one after the other."""
        with self._lab("joinrke2") as lab:
            server = self._node(lab, "server-0", "server")
            until_ready(server, server.start(), BOOT_SECONDS)
            return self._each_kind("rke2", lambda name, kind: self._agent(lab, server, name, kind))

    def _agent(self, lab: Lab, server: LabNode, name: str, kind: str) -> Figures:
        agent = self._node(lab, name, "agent")
        if kind == "prepared":
            _import_only(agent)
            server.kubectl("delete", "secret", "--namespace", "kube-system", f"{name}.node-password.rke2")
        until_quiet()
        watch = Watch(server.host, str(_PATHS.admin_kubeconfig), [name])
        started = time.time()
        process = agent.start()
        try:
            figures = _since(started, watch.times(), name)
        finally:
            if process.poll() is not None:
                print(tail(agent), file=sys.stderr)
        until_ready(agent, process, BOOT_SECONDS)
        self.phases[f"agent, {kind} content"] = _phases(agent)
        server.kubectl("delete", "node", name)
        lab.remove_host(name)
        return figures

    # --- kubeadm -----------------------------------------------------------------------------------
    def kubeadm(self) -> dict[str, list[Figures]]:
        """One control plane, which workers join one after the other."""
        charts = render_charts(self._content, self._scratch / "charts.yaml").read_text()
        with self._lab("joinkubeadm") as lab:
            control_plane = Kubeadm(lab.add_host("control-plane"), self._content, charts)
            control_plane.prepare()
            control_plane.start_containerd()
            control_plane.import_images()
            control_plane.init()
            control_plane.settle()
            try:
                return self._each_kind(
                    "kubeadm", lambda name, kind: self._worker(lab, control_plane, name, kind)
                )
            finally:
                control_plane.stop()

    def _worker(self, lab: Lab, control_plane: Kubeadm, name: str, kind: str) -> Figures:
        worker = Kubeadm(lab.add_host(name), self._content, "")
        worker.prepare()
        command = control_plane.join_command()
        if kind == "prepared":
            _prepare(worker)
        until_quiet()
        watch = Watch(lab.host("control-plane"), KUBECONFIG, [name])
        started = time.time()
        if kind == "cold":
            _prepare(worker)
        worker.join(command)
        figures = _since(started, watch.times(), name)
        worker.stop()
        control_plane.delete_node(name)
        lab.remove_host(name)
        return figures

    # --- three servers -----------------------------------------------------------------------------
    def servers(self) -> list[Figures]:
        """Three servers that are started at the same moment."""
        return [self._three_servers(number) for number in range(self._runs)]

    def _three_servers(self, number: int) -> Figures:
        with self._lab("joinservers") as lab:
            nodes = [self._node(lab, name, "server") for name in SERVERS]
            print(f"run {number + 1}/{self._runs}: three servers …", flush=True)
            until_quiet()
            watch = Watch(nodes[0].host, str(_PATHS.admin_kubeconfig), list(SERVERS), list(SERVERS))
            started = time.time()
            for node in nodes:
                node.start()
            times = watch.times()
            self.phases |= {f"{node.host.name} of three": _phases(node) for node in nodes}
            return {name: at - started for name, at in times.items()}

    # --- all of them -------------------------------------------------------------------------------
    @contextmanager
    def _lab(self, name: str) -> Iterator[Lab]:
        lab = Lab(self._scratch / "lab", name)
        try:
            yield lab
        finally:
            lab.down()

    def _node(self, lab: Lab, name: str, role: Role) -> LabNode:
        node = LabCluster(lab).enrol(lab.add_host(name), role)
        node.configure()
        node.place_content(self._content)
        return node

    def _each_kind(self, system: str, join: Callable[[str, str], Figures]) -> dict[str, list[Figures]]:
        results: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
        for number in range(self._runs):
            for kind in KINDS:
                print(f"run {number + 1}/{self._runs}: {system}, {kind} content …", flush=True)
                results[kind].append(join(f"{kind}-{number}", kind))
                print(
                    "".join(f"  node {what}: {at:.1f} s\n" for what, at in results[kind][-1].items()), end=""
                )
        return results


def _prepare(worker: Kubeadm) -> None:
    worker.start_containerd()
    worker.import_images()


def _import_only(agent: LabNode) -> None:
    """Have the runtime image unpacked and all images in containerd, and nothing that tells who the node is."""
    without_kubelet = _PATHS.config_dir / "config.yaml"
    agent.host.write_file(without_kubelet, "kubelet-path: /bin/false\n")
    process, deadline = agent.start(), time.monotonic() + IMPORT_SECONDS
    while not _imported(agent) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    agent.signal(signal.SIGTERM)
    process.wait(30)
    agent.host.path(without_kubelet).unlink()
    shutil.rmtree(agent.host.path(_PATHS.node_config_dir))
    for entry in agent.host.path(_PATHS.agent).iterdir():
        if entry.name not in ("images", "containerd"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _imported(node: LabNode) -> bool:
    status = read_status(node.host.path(_PATHS.status))
    return status is not None and any(
        phase.name == "images" and phase.state == "done" for phase in status.phases
    )


def _since(started: float, times: Figures, name: str) -> Figures:
    return {what: times[f"{name} {what}"] - started for what in ("registered", "Ready")}


def _phases(node: LabNode) -> str:
    """When each phase began and ended, by the node's own state file."""
    status = read_status(node.host.path(_PATHS.status))
    phases = status.phases if status else []
    rows = [
        f"  {phase.name:<26}{phase.started:>7.1f} – {phase.ended:>6.1f}\n"
        for phase in phases
        if phase.started is not None and phase.ended is not None
    ]
    return "".join(rows)


def _print_joins(results: dict[str, dict[str, list[Figures]]]) -> None:
    print(f"\n{'seconds from start (median)':<34}{'rke2':>10}{'kubeadm':>10}{'ratio':>8}")
    for kind in KINDS:
        for milestone in ("registered", "Ready"):
            medians = {
                system: statistics.median(run[milestone] for run in kinds[kind])
                for system, kinds in results.items()
            }
            ratio = medians["rke2"] / medians["kubeadm"] if len(medians) == 2 else float("nan")
            cells = "".join(f"{medians.get(name, float('nan')):>10.1f}" for name in ("rke2", "kubeadm"))
            print(f"{kind + ': node ' + milestone:<34}{cells}{ratio:>8.2f}")


def _print_servers(runs: list[Figures]) -> None:
    print(f"\n{'seconds from start (median)':<34}{'rke2':>10}")
    for what in ("Ready", "votes"):
        times = [sorted(at for name, at in run.items() if name.endswith(what)) for run in runs]
        for count, title in ((0, "the first"), (-1, "all three")):
            median = statistics.median(run[count] for run in times)
            print(
                f"{f'{title}: ' + ('node Ready' if what == 'Ready' else 'votes in etcd'):<34}{median:>10.1f}"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--only", choices=("rke2", "kubeadm", "servers"))
    parser.add_argument("--content", type=Path, default=Path("build/dist"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
