"""Asking other servers, with this server's own token."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from rke2.config.model import SUPERVISOR_PORT
from rke2.config.paths import Paths
from rke2.errors import JoinError
from rke2.etcd.member_files import name_file, remembered_members
from rke2.etcd.members import node_of
from rke2.host.addresses import host_port
from rke2.join.client import PREFIX, connect
from rke2.join.passwd import SERVER_USER
from rke2.recovery.state import OtherServer, Rejoin, Restore
from rke2.recovery.wire import Answer
from rke2.staticpods.etcd_config import PEER_PORT

STATUS = f"{PREFIX}/restore"
BEGIN = f"{PREFIX}/restore/begin"
STOP = f"{PREFIX}/restore/stop"
STOP_SECONDS = 90.0
_PORT_SECONDS = 2.0
_JSON = {"Content-Type": "application/json"}


def others(paths: Paths) -> tuple[OtherServer, ...]:
    """The other servers with a member, as this one last saw them."""
    own = _own_name(name_file(paths))
    found = [each for each in remembered_members(paths) if each.name and each.name != own and each.peer_urls]
    return tuple(
        OtherServer(node_of(each.name), urlsplit(each.peer_urls[0]).hostname or "") for each in found
    )


def _own_name(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def url_of(host: str) -> str:
    return f"https://{host_port(host, SUPERVISOR_PORT)}"


async def ask(paths: Paths, url: str) -> Answer:
    """What the server at `url` says of its cluster.

    Raises:
        JoinError: it does not answer, or not as a server of this cluster.
    """
    server = await connect(url, await asyncio.to_thread(_token, paths), SERVER_USER)
    answer = await server.request("GET", STATUS)
    try:
        return msgspec.json.decode(answer.body, type=Answer)
    except msgspec.DecodeError as error:
        raise JoinError(f"{url}: the answer to {STATUS} is unusable: {error}") from error


async def tell_to_stop(paths: Paths, url: str, rejoin: Rejoin) -> None:
    """Have the server at `url` end its control plane, and join again when the cluster is restored.

    Raises:
        JoinError: it does not answer, or refuses (see its `status`).
    """
    server = await connect(url, await asyncio.to_thread(_token, paths), SERVER_USER)
    body = msgspec.json.encode(rejoin)
    await server.request("POST", STOP, body=body, headers=_JSON, seconds=STOP_SECONDS)


async def begin(paths: Paths, url: str, restore: Restore) -> None:
    """Have this server's own process, at `url`, begin a restore.

    Raises:
        JoinError: it does not answer, or refuses.
    """
    server = await connect(url, await asyncio.to_thread(_token, paths), SERVER_USER)
    await server.request("POST", BEGIN, body=msgspec.json.encode(restore), headers=_JSON)


async def etcd_answers(host: str) -> bool:
    """Whether something takes connections where the etcd of that server does."""
    try:
        async with asyncio.timeout(_PORT_SECONDS):
            _, writer = await asyncio.open_connection(host, PEER_PORT)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _token(paths: Paths) -> str:
    return paths.token.read_text().strip()
