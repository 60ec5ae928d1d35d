"""Many simulated agents in a process of their own, inside a test host.

Usage: python -m tests.bench.wire.crowd URL TOKEN PREFIX DIRECTORY. It obeys one JSON object a line on standard input
and answers each with one: ``{"join": N}`` starts N more agents, ``{}`` does nothing, ``{"ask": N}`` has agents ask N
times for the cluster's settings, one after the other. The answer is a `State`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from pathlib import Path

from rke2_lab.host import LabHost
from tests.bench.wire.agent import SimulatedAgent

FIRST_ADDRESS = ip_address("10.96.0.1")


@dataclass(frozen=True)
class State:
    """A crowd at a moment.

    Args:
        joined: agents that have all their certificates.
        connected: agents whose tunnel is open.
        lost: how often tunnels were lost.
        refusals: attempts to join that failed, by HTTP status, 0 for those without an answer.
        latencies: seconds of each request that was asked for.
    """

    joined: int = 0
    connected: int = 0
    lost: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def __add__(self, other: State) -> State:
        return State(
            self.joined + other.joined,
            self.connected + other.connected,
            self.lost + other.lost,
            dict(Counter(self.refusals) + Counter(other.refusals)),
            self.latencies + other.latencies,
        )


DIRECTORY = Path("/var/tmp/crowd")
"""On a host: of its agents, each with one of its own below that has the name of its node."""


class Crowd:
    """The program, started in `host`, which may have others; its name begins those of its agents."""

    def __init__(self, host: LabHost, url: str, token: str) -> None:
        self.host = host
        arguments = [url, token, host.name, str(DIRECTORY)]
        # Loading the machine's CAs, with which every node tries first, costs more than all the rest: have none.
        environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "SSL_CERT_FILE": os.devnull}
        with (host.directory / "crowd.log").open("ab") as log:
            self._process = host.popen(
                [host.python, "-m", "tests.bench.wire.crowd", *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def tell(self, **command: int) -> State:
        """Have it do something; its state afterwards."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return State(**json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class _Agents:
    """What the program has."""

    def __init__(self, url: str, token: str, prefix: str, directory: Path, tasks: asyncio.TaskGroup) -> None:
        self._url, self._token, self._prefix, self._directory = url, token, prefix, directory
        self._tasks = tasks
        self._agents: list[SimulatedAgent] = []
        self._refusals: Counter[int] = Counter()

    async def obey(self, command: dict[str, int]) -> State:
        for _ in range(command.get("join", 0)):
            self._start_one()
        agents = self._agents
        latencies = [await agents[n % len(agents)].ask_config() for n in range(command.get("ask", 0))]
        return State(
            sum(agent.joined for agent in agents),
            sum(agent.connected for agent in agents),
            sum(agent.lost for agent in agents),
            {str(status): count for status, count in self._refusals.items()},
            latencies,
        )

    def _start_one(self) -> None:
        number = len(self._agents)
        name, address = f"{self._prefix}-{number}", str(FIRST_ADDRESS + number)
        agent = SimulatedAgent(name, address, self._url, self._token, self._directory / name, self._refusals)
        self._agents.append(agent)
        self._tasks.create_task(agent.run(), name=name)


async def _obey(url: str, token: str, prefix: str, directory: str) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with asyncio.TaskGroup() as tasks:
        agents = _Agents(url, token, prefix, Path(directory), tasks)
        while line := await reader.readline():
            print(json.dumps(asdict(await agents.obey(json.loads(line)))), flush=True)
        raise SystemExit


if __name__ == "__main__":
    asyncio.run(_obey(*sys.argv[1:]))
