from __future__ import annotations

import asyncio
from pathlib import Path

from rke2.lifecycle.progress import (
    BalancedServer,
    ConnectionStatus,
    PhaseStatus,
    Progress,
    ServiceStatus,
    read_status,
)

ALONE = ConnectionStatus()
CONNECTED = ConnectionStatus(
    agents={"agent-0": 1},
    tunnels=["10.0.0.1:9345"],
    load_balancers={"rke2-agent-load-balancer": [BalancedServer("10.0.0.1:9345", "ACTIVE", 2)]},
)


async def test_connections_are_written_when_they_change(tmp_path: Path) -> None:
    progress, looks = Progress(tmp_path / "status.json", "server", "v1"), iter([ALONE, CONNECTED, CONNECTED])
    looked = asyncio.Event()

    def look() -> ConnectionStatus:
        try:
            return next(looks)
        except StopIteration:
            looked.set()
            return CONNECTED

    follow = asyncio.create_task(progress.follow_connections(look, 0))
    await asyncio.wait_for(looked.wait(), 10)
    follow.cancel()
    status = read_status(tmp_path / "status.json")
    assert status is not None
    assert status.connections == CONNECTED


async def test_connections_that_stay_are_not_written_again(tmp_path: Path) -> None:
    path, looked = tmp_path / "status.json", asyncio.Semaphore(0)
    progress = Progress(path, "agent", "v1")

    def look() -> ConnectionStatus:
        looked.release()
        return ALONE

    follow = asyncio.create_task(progress.follow_connections(look, 0))
    for _ in range(3):
        await asyncio.wait_for(looked.acquire(), 10)
    follow.cancel()
    assert not path.exists()


def test_the_state_file_of_an_earlier_release_has_no_connections(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text('{"role":"server","version":"v1","pid":1,"started":0,"phases":[{"name":"host"}]}')
    status = read_status(path)
    assert status is not None
    assert (status.connections, status.phases) == (ALONE, [PhaseStatus("host")])


def test_a_node_that_does_not_answer_itself_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    progress = Progress(path, "server", "v1")
    progress.silent("port 9345: no answer")
    progress.silent("")
    status = read_status(path)
    assert status is not None and (status.ready, status.silent) == (False, "")  # it never was
    progress.ready()
    for reason, ready in (("port 9345: no answer", False), ("", True)):
        progress.silent(reason)
        status = read_status(path)
        assert status is not None and (status.ready, status.silent) == (ready, reason)


def test_an_ill_service_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    progress = Progress(path, "server", "v1")
    progress.service("tunnels", ServiceStatus("running"))
    assert not path.exists()
    for status in (ServiceStatus("failing", 1, "broken"), ServiceStatus("running", 1)):
        progress.service("tunnels", status)
        written = read_status(path)
        assert written is not None and written.services == {"tunnels": status}


def test_troubles_are_told_until_they_are_over(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    progress = Progress(path, "server", "v1")
    progress.trouble("node password", "another machine's")
    progress.trouble("disk", "full")
    status = read_status(path)
    assert status is not None
    assert status.troubles == {"node password": "another machine's", "disk": "full"}
    progress.trouble("node password", "")
    status = read_status(path)
    assert status is not None
    assert status.troubles == {"disk": "full"}
