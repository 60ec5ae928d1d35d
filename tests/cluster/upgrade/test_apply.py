"""`rke2 upgrade apply`: a server and an agent go to the next release, and come back by themselves if it is no good.

Nothing on the nodes comes from this source tree but the two releases. A loop on each host does what systemd would.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from rke2_lab.lab import Lab
from tests.cluster.labs import gone_afterwards, new_lab
from tests.cluster.upgrade.releases import PATH, PLACE, Kept, kept, require_releases

pytestmark = pytest.mark.long

OLD, NEW = "v1.36.4", "v1.37.2"
STATE = "/var/lib/rancher/rke2/upgrade/state.json"
RUNTIME, OTHER = "rke2-images-runtime.linux-amd64.tar.zst", "rke2-images-ingress-nginx.linux-amd64.tar.zst"


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[Lab]:
    """A lab of their own for the two nodes."""
    require_releases()
    with gone_afterwards(new_lab(lab.state_dir, f"{lab.name}up")) as own:
        yield own


@pytest.fixture(scope="module")
def server(place: Lab) -> Kept:
    """A server with the present release."""
    return kept(place, "server-0", "server")


@pytest.fixture(scope="module")
def agent(place: Lab, server: Kept) -> Kept:
    """An agent of it, with the present release."""
    return kept(place, "agent-0", "agent")


def _is_at(node: Kept, step: str) -> bool:
    try:
        state = json.loads(node.node.host.path(STATE).read_text())
    except (OSError, ValueError):
        return False
    return bool(state["step"] == step and (step != "proving" or state.get("started")))


def _cut_at(node: Kept, step: str) -> None:
    """Begin an upgrade and let the power fail when it comes to `step`."""
    command = ["sh", "-c", f"rke2 upgrade apply --from {PLACE} --yes"]
    node.node.host.popen(command, env=PATH, tools=False, start_new_session=True)
    deadline = time.monotonic() + 600
    while not _is_at(node, step):
        assert time.monotonic() < deadline, f"no upgrade came to {step}"
    node.power_cut()


def test_a_full_disk_is_told_before_anything_is_touched(server: Kept) -> None:
    host = server.node.host
    host.small_disk("/var/lib/rancher/rke2/upgrade", 100)
    said = server.upgrade(f"apply --from {PLACE} --yes", 1)
    assert "bytes in /var/lib/rancher/rke2/upgrade, and" in said and "nothing was changed" in said
    server.sh("umount /var/lib/rancher/rke2/upgrade")
    assert "never upgraded" in server.upgrade("status", 0)


def test_a_release_without_its_runtime_image_is_rolled_back(server: Kept) -> None:
    said = server.upgrade(f"apply --from {server.spoil(RUNTIME, OTHER)} --yes", 1)
    assert "rolled-back" in said and "rke2-runtime:v1.37.2" in said
    server.runs(OLD)
    assert "rke2-runtime:v1.37.2" in server.upgrade("status", 1)
    assert "rolled back" in server.sh("rke2 status")
    events = server.sh("rke2 kubectl get events --field-selector reason=UpgradeRolledBack")
    assert "rke2-runtime:v1.37.2" in events


@pytest.mark.parametrize("step", ["staging", "proving"])
def test_a_power_cut_leaves_the_former_release(server: Kept, step: str) -> None:
    _cut_at(server, step)
    server.runs(OLD)
    assert "cut off" in server.upgrade("status", 1)
    assert "cut off" in server.sh("rke2 status")


def test_a_release_is_staged_on_an_agent_before_its_server_has_it(agent: Kept) -> None:
    """Where there is no registry, pods of charts that the server raises find their images then."""
    assert "staged" in agent.upgrade(f"apply --from {PLACE} --yes --stage", 0)
    agent.runs(OLD)
    refused = agent.upgrade(f"apply --from {PLACE} --yes", 1)
    assert "servers still run an earlier Kubernetes" in refused and "server-0 v1.36.4" in refused


def test_a_server_is_upgraded(server: Kept) -> None:
    said = server.upgrade(f"apply --from {PLACE} --yes", 0)
    print(said)
    assert "done" in said and "pre-upgrade" in said
    server.runs(NEW)
    assert "UpgradeSucceeded" in server.sh("rke2 kubectl get events")


def test_an_agent_is_upgraded(agent: Kept) -> None:
    agent.upgrade(f"apply --from {PLACE} --yes", 0)
    agent.runs(NEW)


def test_an_agent_goes_back_when_it_is_asked_to(agent: Kept) -> None:
    agent.upgrade("rollback", 0)
    agent.runs(OLD)
    assert "an operator asked for it" in agent.upgrade("status", 1)


def test_an_agent_that_does_not_become_ready_in_time_goes_back(agent: Kept) -> None:
    said = agent.upgrade(f"apply --from {PLACE} --yes --timeout 2s", 1)
    assert "has not proven itself within 2 s" in said
    agent.runs(OLD)
