"""A server that is restarted with other arguments for etcd and kube-apiserver is back at once, twenty times of twenty.

``python -m tests.soak.changed_arguments [--times 20] [--frozen SECONDS] [--load PROCESSES] [--limit SECONDS]
[--servers 1] [--weight PROCESSES] [--keep DIRECTORY [--slow SECONDS]]``. Prints what each restart took. ``--frozen``:
the kubelet is stopped for so long as soon as it is spawned, as if it got no CPU. ``--load``: so many processes of the
host use all the CPU they get. ``--servers 3``: three servers, one after the other, and what an agent's calls to the API
notice of it. ``--weight``: a host counts as much as so many processes beside it (`tests.soak.share`).
``--keep``: the logs of every restart that fails or takes longer than ``--slow`` are copied there, each log with what
that restart added.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import LabError
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from tests.cluster import workload
from tests.cluster.high_availability.load import Load, calling
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.nodes import place_server
from tests.cluster.restart.changing import Restart, another, restart
from tests.cluster.restart.server import Server
from tests.soak.share import weigh

_DROP_IN = Paths().config_dir / "config.yaml.d/06-soak.yaml"
_SETTINGS = "disable: [rke2-metrics-server, rke2-snapshot-controller, rke2-snapshot-controller-crd]\n"
"""metrics-server is ready again when it has asked a kubelet twice, 15 s apart: half a minute after everything else."""

_LOGS = (
    Paths().agent_logs,
    Paths().containerd_root / "containerd.log",
    Path("/var/log/pods"),
)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        archive = workload.write_archive(Path(scratch) / "workload.tar")
        with gone_afterwards(new_lab(Path(scratch) / "lab", f"soak{os.getpid()}")) as lab:
            soak = _alone if options.servers == 1 else _one_after_the_other
            seen = soak(lab, archive, options)
    sys.exit(_summed_up(seen, options))


def _alone(lab: Lab, archive: Path, options: argparse.Namespace) -> list[Restart]:
    server = Server(place_server(lab, "server-0", archive))
    server.node.host.write_file(_DROP_IN, _SETTINGS)
    weigh(server.node.host, options.weight)
    server.start()
    server.until_ready()
    print(f"unchanged: {restart(server, {})}", flush=True)
    with _load(server.node.host, options.load):
        seen = [_once(server, f"{number}/{options.times}", options) for number in range(1, options.times + 1)]
    server.terminate()
    return list(filter(None, seen))


def _one_after_the_other(lab: Lab, archive: Path, options: argparse.Namespace) -> list[Restart]:
    members, seen = Members(lab, archive), []
    servers = [members.place(f"server-{number}", "server") for number in range(options.servers)]
    agent = members.place("agent-0", "agent")
    for each in members:
        weigh(each.node.host, options.weight)
    members.boot(*servers, agent)
    for number in range(1, options.times + 1):
        for server in servers:
            with calling(agent) as load:
                seen.append(_once(server, f"{number}/{options.times} {server.node.host.name}", options))
            print(f"  an agent's calls: {_failing(load)}", flush=True)
    return list(filter(None, seen))


def _failing(load: Load) -> str:
    if not load.failures:
        return f"all {load.calls} answered"
    times = [at for at, _ in load.failures]
    return f"{load}\n  failed during {max(times) - min(times):.1f} s"


def _once(server: Server, name: str, options: argparse.Namespace) -> Restart | None:
    before = _sizes(server)
    try:
        seen = restart(server, another(), frozen=options.frozen)
    except (LabError, AssertionError) as error:
        print(f"{name}: FAILED\n{error}", flush=True)
        _keep(server, before, name, options)
        return None
    print(f"{name}: {seen}", flush=True)
    if seen.healthy > options.slow:
        _keep(server, before, name, options)
    return seen


def _logs(server: Server) -> dict[Path, Path]:
    """The logs of the node and of its pods: name -> file."""
    logs = {Path("rke2.log"): server.node.log}
    for log in _LOGS:
        top = server.node.host.path(log)
        files = top.rglob("*") if top.is_dir() else [top]
        logs |= {Path(log.name) / path.relative_to(top): path for path in files if path.is_file()}
    return logs


def _sizes(server: Server) -> dict[Path, int]:
    return {name: path.stat().st_size for name, path in _logs(server).items()}


def _keep(server: Server, before: Mapping[Path, int], name: str, options: argparse.Namespace) -> None:
    """Copy what each log has more than `before`; one that was begun again meanwhile, whole."""
    if not options.keep:
        return
    directory = options.keep / name.partition("/")[0] / server.node.host.name
    for log, path in _logs(server).items():
        target = directory / log
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, target.open("wb") as copy:
            known = before.get(log, 0)
            source.seek(known if path.stat().st_size >= known else 0)
            shutil.copyfileobj(source, copy)


def _summed_up(seen: list[Restart], options: argparse.Namespace) -> int:
    """Print the medians and the worst; returns the exit code."""
    if seen:
        for name, values in {
            "ready": [each.ready for each in seen],
            "healthy": [each.healthy for each in seen],
            "API away": [max(each.away, default=0.0) for each in seen],
        }.items():
            print(f"{name}: median {statistics.median(values):.1f} s, longest {max(values):.1f} s")
    late = [each for each in seen if each.healthy > options.limit]
    good, all_of_them = len(seen) - len(late), options.times * options.servers
    print(f"{good} of {all_of_them} within {options.limit:.0f} s")
    return 0 if good == all_of_them else 1


@contextmanager
def _load(host: LabHost, processes: int) -> Iterator[None]:
    busy = [host.popen([host.python, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--frozen", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--load", type=int, default=0, metavar="PROCESSES")
    parser.add_argument("--limit", type=float, default=45.0, metavar="SECONDS")
    parser.add_argument("--weight", type=int, default=1, metavar="PROCESSES")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY")
    parser.add_argument("--slow", type=float, default=20.0, metavar="SECONDS")
    return parser.parse_args()


if __name__ == "__main__":
    main()
