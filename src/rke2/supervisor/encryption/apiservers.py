"""Which keys each API server of the cluster goes by, as its own metrics say.

An API server looks at its configuration once a minute. What it has loaded is told by a gauge with the sha256 of the
file, so a rotation does not have to guess; each API server is asked itself, past every load balancer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from rke2.config.model import APISERVER_PORT
from rke2.errors import KubeError, PKIError
from rke2.host.addresses import host_port
from rke2.kube.client import Client
from rke2.kube.nodes import internal_address
from rke2.kube.objects import Object, condition_is_true, name_of
from rke2.supervisor.encryption.agreement import servers

log = logging.getLogger(__name__)

SECONDS = 150.0
"""Limit of the wait. RKE2 waits 120 s for its own; it may follow a server that takes `rke2.join.shared.POLL` longer."""
POLL = 3.0
_LOADED = re.compile(
    r'^apiserver_encryption_config_controller_\w*last_config_info\{(?:[^}]*,)?hash="sha256:([0-9a-f]{64})"[^}]*\} 1\b',
    re.MULTILINE,
)


@dataclass(frozen=True)
class APIServer:
    """One of the cluster.

    Args:
        node: name of its Node.
        url: where it is asked; empty for this server's own, which the client knows.
    """

    node: str
    url: str


def apiservers(nodes: Iterable[Object], own: str) -> list[APIServer]:
    """Those of all servers that have encryption configurations."""
    return [_apiserver(node, own) for node in servers(nodes)]


def _apiserver(node: Object, own: str) -> APIServer:
    name = name_of(node)
    url = "" if name == own else f"https://{host_port(internal_address(node), APISERVER_PORT)}"
    return APIServer(name, url)


def loaded_hashes(metrics: str) -> set[str]:
    """The hashes of configurations that an API server says it goes by, from the text of its ``/metrics``."""
    return set(_LOADED.findall(metrics))


NodeOf = Callable[[str], Object | None]
"""The Node of a name as it is now, None if there is none any more."""


async def until_known(
    client: Client, found: Iterable[APIServer], config: bytes, node: NodeOf, *, seconds: float = SECONDS
) -> set[str]:
    """Wait until all API servers go by `config`.

    Returns:
        The names of servers that are away: their Nodes are not ready, and nothing answers there.

    Raises:
        PKIError: one answers, or is ready, and does not go by it in time.
    """
    wanted = sha256(config).hexdigest()
    async with asyncio.TaskGroup() as tasks:
        asked = {
            each.node: tasks.create_task(_until_known(client, each, wanted, node, seconds)) for each in found
        }
    ends = {name: task.result() for name, task in asked.items()}
    if problems := [f"{name}: {end}" for name, end in ends.items() if end not in (_KNOWN, _AWAY)]:
        raise PKIError(
            f"apiserver has not reloaded encryption configuration on {'; '.join(problems)}",
            "see that rke2 and the API server run there, then repeat the command: it goes on where it stopped",
        )
    return {name for name, end in ends.items() if end == _AWAY}


_KNOWN, _AWAY = "", "away"


async def _until_known(client: Client, server: APIServer, wanted: str, node: NodeOf, seconds: float) -> str:
    """Why it does not go by the configuration after all the time."""
    asked = client.at(server.url) if server.url else client
    give_up = asyncio.get_running_loop().time() + seconds
    while True:
        problem = await _problem(asked, wanted)
        # One that answers is waited for, whatever its Node says: it serves, and by the former keys.
        if problem.startswith(_SILENT):
            about = node(server.node)
            if about is None:  # removed for good: it has to join again, and is given the new keys then
                return _KNOWN
            if not condition_is_true(about, "Ready"):
                return _AWAY
        if not problem or asyncio.get_running_loop().time() > give_up:
            return problem
        await asyncio.sleep(POLL)


_SILENT = "it does not answer"


async def _problem(client: Client, wanted: str) -> str:
    try:
        found = loaded_hashes(await client.raw("/metrics"))
    except KubeError as error:
        return f"{_SILENT}: {error.message}"
    return "" if wanted in found else "it still goes by the former keys"
