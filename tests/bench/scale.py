"""What many agents cost a server: joins per second, memory and CPU of its supervisor, and coming back after a restart.

One real server on a test host; the agents are simulated (`tests.bench.wire`) on four others, but every byte they
send is that of real ones: requests, signing requests, tunnels. They share the machine's cores with the server, so what
a join costs is better told by the CPU time of the server's process than by joins per second. Run with
`make bench-scale`; options: ``--agents N…`` (50 225 1000, one after the other on the same server), ``--hollow N`` to
give as many of them kubelets that run nothing, for what nodes cost the API server (0), ``--content build/dist``.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from operator import add
from pathlib import Path

from rke2.config.model import APISERVER_PORT
from rke2_lab.cluster import SUPERVISOR_PORT, LabCluster
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.bench.idle import cpu_seconds, memory_mib, process_id
from tests.bench.quiet import until_quiet
from tests.bench.wire.crowd import DIRECTORY, Crowd, State
from tests.bench.wire.hollow import HollowKubelets, build, room_for

HOSTS = 4
"""Each with an address of its own: a server takes only so many unknown clients from one."""
BOOT_SECONDS = 420.0
JOIN_SECONDS = 600.0
REST_SECONDS = 20.0
"""Until what joining left behind is done: Secrets in caches, connections that close."""
WATCHED_SECONDS = 60.0
REQUESTS = 100
POLL = 0.1
Figures = dict[str, str]


def main() -> None:
    options = _options()
    program = _hollow_program(options.hollow)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch, ExitStack() as stack:
        lab = stack.enter_context(_lab(Path(scratch)))
        server = LabCluster(lab).enrol(lab.add_host("server-0"), "server")
        server.configure()
        server.place_content(options.content.absolute())
        process = server.start()
        until_ready(server, process, BOOT_SECONDS)
        url = f"https://{server.host.address}:{SUPERVISOR_PORT}"
        crowds = [Crowd(lab.add_host(f"agents-{number}"), url, lab.token) for number in range(HOSTS)]
        for crowd in crowds:
            stack.callback(crowd.end)
        bench = Bench(server, process, crowds)
        _print({0: bench.at_rest(), **{count: bench.with_agents(count) for count in sorted(options.agents)}})
        if program:
            kubelets = Kubelets(server, crowds, program)
            stack.callback(kubelets.end)
            _print({options.hollow: kubelets.measure(options.hollow)}, "kubelets")


class Bench:
    """Measures a server.

    Args:
        process: its rke2.
        crowds: its agents, which are to be told.
    """

    def __init__(self, server: LabNode, process: subprocess.Popen[bytes], crowds: list[Crowd]) -> None:
        self._server, self._process, self._crowds = server, process, crowds
        self._count = 0

    def with_agents(self, count: int) -> Figures:
        """All figures once so many agents are there."""
        print(f"{count} agents …", flush=True)
        until_quiet()
        figures: Figures = {}
        steps: list[Callable[[], Figures]] = [partial(self._join, count), self.at_rest]
        for measure in [*steps, self._latency, self._restart]:
            found = measure()
            print("".join(f"  {name}: {value}\n" for name, value in found.items()), end="", flush=True)
            figures |= found
        return figures

    def at_rest(self) -> Figures:
        """Memory and CPU while nothing happens but the tunnels' signs of life."""
        time.sleep(REST_SECONDS)
        lost, memory = self._state().lost, self._rss()
        cpu, started = self._cpu(), time.monotonic()
        time.sleep(WATCHED_SECONDS)
        share = (self._cpu() - cpu) / (time.monotonic() - started)
        return {
            "at rest: RSS, MiB": f"{memory:.0f}",
            "at rest: RSS a minute later": f"{self._rss():.0f}",
            "at rest: CPU, % of one core": f"{share * 100:.1f}",
            "at rest: tunnels lost": f"{self._state().lost - lost}",
        }

    def _join(self, count: int) -> Figures:
        """All that are missing start at once."""
        new, cpu, before, started = count - self._count, self._cpu(), self._state(), time.monotonic()
        for number, crowd in enumerate(self._crowds):
            crowd.tell(join=new // HOSTS + (number < new % HOSTS))
        self._count = count
        joined = self._until(lambda state: state.joined == count, started)
        connected = self._until(lambda state: state.connected == count, started)
        refusals = {
            status: number - before.refusals.get(status, 0)
            for status, number in self._state().refusals.items()
        }
        return {
            "joining at once": f"{new}",
            "joins per second": f"{new / joined:.1f}",
            "seconds until all have joined": f"{joined:.1f}",
            "seconds until all tunnels are open": f"{connected:.1f}",
            "CPU of the server per join, ms": f"{(self._cpu() - cpu) / new * 1000:.0f}",
            "refused with 429 and tried again": f"{refusals.pop('429', 0)}",
            "other failed attempts": " ".join(f"{status}: {n}" for status, n in refusals.items() if n) or "0",
            "RSS after joining, MiB": f"{self._rss():.0f}",
        }

    def _latency(self) -> Figures:
        """Of GET /v1-rke2/config, one at a time, each with a connection of its own."""
        times = sorted(self._crowds[0].tell(ask=REQUESTS).latencies)
        return {
            "GET config: median, ms": f"{statistics.median(times) * 1000:.0f}",
            "GET config: 99 %, ms": f"{times[len(times) * 99 // 100] * 1000:.0f}",
        }

    def _restart(self) -> Figures:
        """As ``systemctl restart`` does it."""
        self._server.signal(signal.SIGTERM)
        self._process.wait(60)
        started = time.monotonic()
        self._process = self._server.start()
        self._until(lambda state: state.connected == 0, started)
        first = self._until(lambda state: state.connected > 0, started)
        every = self._until(lambda state: state.connected == self._count, started)
        until_ready(self._server, self._process, BOOT_SECONDS)
        return {
            "restart: first tunnel open after, s": f"{first:.1f}",
            "restart: all tunnels open after, s": f"{every:.1f}",
            "restart: CPU of the server until then, s": f"{self._cpu():.1f}",
            "restart: RSS then, MiB": f"{self._rss():.0f}",
        }

    # --- looking -----------------------------------------------------------------------------------
    def _state(self) -> State:
        return reduce(add, (crowd.tell() for crowd in self._crowds))

    def _until(self, reached: Callable[[State], bool], started: float) -> float:
        """Seconds since `started` at which the crowds' state was so."""
        while not reached(state := self._state()):
            if time.monotonic() - started > JOIN_SECONDS:
                raise TimeoutError(f"not reached in {JOIN_SECONDS:.0f} s: {state}")
            time.sleep(POLL)
        return time.monotonic() - started

    def _rss(self) -> float:
        return memory_mib(self._server, process_id(self._server), "VmRSS")

    def _cpu(self) -> float:
        return cpu_seconds(self._server, process_id(self._server))


class Kubelets:
    """Hollow kubelets of a server's simulated agents, and what they cost the control plane.

    Args:
        program: see `tests.bench.wire.hollow.build`.
    """

    def __init__(self, server: LabNode, crowds: list[Crowd], program: Path) -> None:
        self._server, self._crowds, self._program = server, crowds, program
        self._started: list[HollowKubelets] = []

    def measure(self, count: int) -> Figures:
        """Start `count` at once, wait until their nodes are Ready, and look while nothing else happens."""
        print(f"{count} hollow kubelets …", flush=True)
        until_quiet()
        before, started = self._ready(), time.monotonic()
        for number, crowd in enumerate(self._crowds):
            self._start(crowd, count // HOSTS + (number < count % HOSTS))
        while (ready := self._ready() - before) < count:
            if time.monotonic() - started > JOIN_SECONDS:
                raise TimeoutError(f"{ready} of {count} nodes are Ready after {JOIN_SECONDS:.0f} s")
            time.sleep(1)
        figures = {"seconds until all nodes are Ready": f"{time.monotonic() - started:.1f}"}
        time.sleep(REST_SECONDS)
        return figures | self._at_rest() | {"nodes Ready then": f"{self._ready() - before}"}

    def _at_rest(self) -> Figures:
        """Memory and CPU of the control plane while the kubelets only report."""
        figures: Figures = {}
        pids = {program: self._pid(program) for program in CONTROL_PLANE}
        before, started = self._cpu(pids), time.monotonic()
        time.sleep(WATCHED_SECONDS)
        after, passed = self._cpu(pids), time.monotonic() - started
        for program, pid in pids.items():
            share = (after[program] - before[program]) / passed
            figures[f"{program}: RSS, MiB"] = f"{memory_mib(self._server, pid, 'VmRSS'):.0f}"
            figures[f"{program}: CPU, % of one core"] = f"{share * 100:.1f}"
        return figures

    def end(self) -> None:
        for kubelets in self._started:
            kubelets.end()

    def _start(self, crowd: Crowd, count: int) -> None:
        agents = [DIRECTORY / f"{crowd.host.name}-{number}" for number in range(count)]
        address = f"{self._server.host.address}:{APISERVER_PORT}"
        self._started.append(HollowKubelets(crowd.host, self._program, address, agents))

    def _ready(self) -> int:
        condition = '{.items[*].status.conditions[?(@.type=="Ready")].status}'
        listed = self._server.kubectl("get", "nodes", "--output", f"jsonpath={condition}", timeout=60).stdout
        return listed.split().count("True")

    def _cpu(self, pids: dict[str, int]) -> dict[str, float]:
        return {program: cpu_seconds(self._server, pid) for program, pid in pids.items()}

    def _pid(self, program: str) -> int:
        """Of the process of the server's host that is called `program`."""
        if program == "rke2":
            return process_id(self._server)
        return int(self._server.host.exec(["pgrep", "-o", "-x", program[:15]], check=True).stdout)


CONTROL_PLANE = ("rke2", "kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")


def _hollow_program(count: int) -> Path | None:
    """What `count` hollow kubelets run; built before anything is booted."""
    if not count:
        return None
    room_for(count)
    return build()


@contextmanager
def _lab(scratch: Path) -> Iterator[Lab]:
    lab = Lab(scratch / "lab", "scale")
    try:
        yield lab
    finally:
        lab.down()


def _print(results: dict[int, Figures], what: str = "agents") -> None:
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    print(f"\n{what:<44}" + "".join(f"{count:>10}" for count in results))
    for name in names:
        print(f"{name:<44}" + "".join(f"{figures.get(name, '–'):>10}" for figures in results.values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, nargs="+", default=[50, 225, 1000])
    parser.add_argument("--hollow", type=int, default=0)
    parser.add_argument("--content", type=Path, default=Path("build/dist"))
    options = parser.parse_args()
    if options.hollow > max(options.agents):
        parser.error("--hollow: there are not so many agents")
    return options


if __name__ == "__main__":
    main()
