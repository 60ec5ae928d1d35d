"""A server that is restarted with other arguments for etcd and kube-apiserver is back at once, twenty times of twenty.

``python -m tests.soak.changed_arguments [--times 20] [--frozen SECONDS] [--load PROCESSES] [--limit SECONDS]
[--servers 1]``. Prints what each restart took. ``--frozen``: the kubelet is stopped for so long as soon as it is
spawned, as if it got no CPU. ``--load``: so many processes of the host use all the CPU they get. ``--servers 3``: three
servers, one after the other, and what an agent's calls to the API notice of it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rke2.errors import LabError
from rke2.lab.host import LabHost
from rke2.lab.lab import Lab
from tests.cluster import workload
from tests.cluster.high_availability.load import Load, calling
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.members import Members
from tests.cluster.nodes import place_server
from tests.cluster.restart.changing import Restart, another, restart
from tests.cluster.restart.server import Server


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
    server.start()
    server.until_ready()
    print(f"unchanged: {restart(server, {})}", flush=True)
    with _load(server.node.host, options.load):
        seen = [
            _once(server, f"{number}/{options.times}", options.frozen)
            for number in range(1, options.times + 1)
        ]
    server.terminate()
    return list(filter(None, seen))


def _one_after_the_other(lab: Lab, archive: Path, options: argparse.Namespace) -> list[Restart]:
    members, seen = Members(lab, archive), []
    servers = [members.place(f"server-{number}", "server") for number in range(options.servers)]
    agent = members.place("agent-0", "agent")
    members.boot(*servers, agent)
    for number in range(1, options.times + 1):
        for server in servers:
            with calling(agent) as load:
                seen.append(
                    _once(server, f"{number}/{options.times} {server.node.host.name}", options.frozen)
                )
            print(f"  an agent's calls: {_failing(load)}", flush=True)
    return list(filter(None, seen))


def _failing(load: Load) -> str:
    if not load.failures:
        return f"all {load.calls} answered"
    times = [at for at, _ in load.failures]
    return f"{load}\n  failed during {max(times) - min(times):.1f} s"


def _once(server: Server, name: str, frozen: float) -> Restart | None:
    try:
        seen = restart(server, another(), frozen=frozen)
    except (LabError, AssertionError) as error:
        print(f"{name}: FAILED\n{error}", flush=True)
        return None
    print(f"{name}: {seen}", flush=True)
    return seen


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
    return parser.parse_args()


if __name__ == "__main__":
    main()
