"""No process of a node shows a secret of the cluster to others on its machine, nor does any log or the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from tests.cluster.members import AGENT_TOKEN, Members

PATHS = Paths()
VARIABLES = {"RKE2_TOKEN", "RKE2_AGENT_TOKEN"}


def secrets(pair: Members) -> tuple[str, ...]:
    passwords = (
        pair[name].node.host.path(PATHS.node_config_dir / "password") for name in ("server-0", "agent-0")
    )
    return (pair.lab.token, AGENT_TOKEN, *(file.read_text().strip() for file in passwords))


def processes(pair: Members, name: str) -> Iterator[tuple[str, bytes, bytes]]:
    """Title, command line and environment of each process of a node."""
    for directory in pair[name].node.host.path(Path("/proc")).glob("[0-9]*"):
        try:
            line, environment = (directory / "cmdline").read_bytes(), (directory / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        yield line.replace(b"\0", b" ").decode(errors="replace")[:100], line, environment


@pytest.mark.parametrize("name", ["server-0", "agent-0"])
def test_no_command_line_holds_a_secret(pair: Members, name: str) -> None:
    hidden = [word.encode() for word in secrets(pair)]
    seen = list(processes(pair, name))
    assert not [title for title, line, _ in seen if any(word in line for word in hidden)]
    role = name.partition("-")[0]
    assert f"rke2 {role}" in {title.strip() for title, _, _ in seen}


@pytest.mark.parametrize("name", ["server-0", "agent-0"])
def test_no_child_is_given_a_token(pair: Members, name: str) -> None:
    """The agent was told its token by a variable (`conftest.pair`), which goes no further than rke2 itself."""
    hidden = [word.encode() for word in (*secrets(pair), *VARIABLES)]
    own = f"rke2 {name.partition('-')[0]}"
    found = [
        title
        for title, _, environment in processes(pair, name)
        if any(word in environment for word in hidden) and own not in title
    ]
    # What stands for rke2 on the machine is no process of the node.
    assert not [title for title in found if "rke2_lab" not in title]


@pytest.mark.parametrize("name", ["server-0", "agent-0"])
def test_no_log_holds_a_secret(pair: Members, name: str) -> None:
    node = pair[name].node
    logs = [
        node.log,
        *node.host.path(PATHS.data_dir).rglob("*.log"),
        *node.host.path(Path("/var/log")).rglob("*.log"),
    ]
    text = "\n".join(file.read_text(errors="replace") for file in logs if file.is_file())
    assert len(text) > 1000
    assert [word for word in secrets(pair) if word in text] == []
    assert "PRIVATE KEY" not in text


def test_no_object_that_nodes_read_holds_a_secret(pair: Members) -> None:
    """Nodes with their annotations, events, ConfigMaps, Services, Endpoints, pods."""
    kinds = "nodes,events,configmaps,services,endpoints,endpointslices,pods,leases"
    text = pair.kubectl("get", kinds, "--all-namespaces", "--output", "json")
    assert "rke2.io/node-args" in text
    assert [word for word in secrets(pair) if word in text] == []
