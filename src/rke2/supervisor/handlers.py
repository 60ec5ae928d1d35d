"""What answers the routes of port 9345, but for certificates (`certificates`) and tunnels (`upgrades`).

A few routes of RKE2 are known to the route table and answer "not supported yet" (501).
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from rke2.config.model import NodeConfig
from rke2.errors import EtcdError, JoinError, RKE2Error
from rke2.etcd.client import EtcdClient
from rke2.etcd.members import db_info
from rke2.join.bootstrap import BootstrapData
from rke2.join.control import encode_config
from rke2.join.passwd import SERVER_USER
from rke2.join.store import BootstrapStore
from rke2.join.tokens import PasswordToken
from rke2.kube.apiservers import KEY, decode
from rke2.pki.catalog import CLIENT_CA, SERVER_CA, Authority
from rke2.pki.pem import certificate_path
from rke2.snapshots.taking import Snapshots
from rke2.supervisor.authentication import parse_basic
from rke2.supervisor.calls import Call
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.node_passwords import NodePasswords
from rke2.supervisor.status import StatusError, bad_request, internal, unavailable
from rke2.tunnel.routing import Dialer
from rke2.tunnel.server import TunnelServer

log = logging.getLogger(__name__)

_API_ADDRESSES_SECONDS = 5.0
_MEMBER_LIST_SECONDS = 2.0
_NOT_FOUND = HTTPStatus.NOT_FOUND


@dataclass(frozen=True)
class Context:
    """What handlers answer from.

    Args:
        ca_bundle: PEM of the server CA, read once: it does not change while the process runs.
        core: empty until the Kubernetes API answers.
        tunnel: takes the agents' websockets.
        dialer: ways to nodes, for CONNECT.
        etcd: None on a server without managed etcd.
        snapshots: likewise.
    """

    config: NodeConfig
    ca_bundle: bytes
    core: CoreSlot
    node_passwords: NodePasswords
    tunnel: TunnelServer
    dialer: Dialer
    etcd: EtcdClient | None
    snapshots: Snapshots | None = None


# --- for everybody ---------------------------------------------------------------------------------
async def ping(context: Context, call: Call) -> web.Response:
    return web.Response(text="pong")


async def ca_certificates(context: Context, call: Call) -> web.Response:
    return web.Response(body=context.ca_bundle, content_type="text/plain")


async def static(context: Context, call: Call) -> web.StreamResponse:
    """A file below ``<dd>/server/static``; nothing outside of it, however the path is written."""
    root = (context.config.paths.server / "static").resolve()
    name = call.path.removeprefix("/static/")
    try:
        path = (root / name).resolve()
    except (OSError, ValueError):
        raise StatusError(_NOT_FOUND, "not found") from None
    if name.startswith("/") or not path.is_relative_to(root):
        raise StatusError(_NOT_FOUND, "not found")
    return _file(path)


# --- for agents ------------------------------------------------------------------------------------
async def client_ca(context: Context, call: Call) -> web.StreamResponse:
    return _bundle(context, CLIENT_CA)


async def server_ca(context: Context, call: Call) -> web.StreamResponse:
    return _bundle(context, SERVER_CA)


async def readyz(context: Context, call: Call) -> web.Response:
    if context.core.current is None:
        raise unavailable("runtime core not ready")
    return web.Response(text="ok")


async def config(context: Context, call: Call) -> web.Response:
    return _json(json.dumps(await asyncio.to_thread(encode_config, context.config)))


async def apiservers(context: Context, call: Call) -> web.Response:
    """Every address of an API server that the Kubernetes API or etcd knows of; what fails adds nothing."""
    core = context.core.current
    known = core.apiservers() if core else []
    try:
        async with asyncio.timeout(_API_ADDRESSES_SECONDS):
            known += await stored_api_addresses(context.etcd)
    except (EtcdError, TimeoutError) as error:
        log.debug("%s cannot be read: %s", KEY, error)
    return _json(json.dumps(sorted(set(known))))


async def stored_api_addresses(etcd: EtcdClient | None) -> list[str]:
    """What servers have left in etcd for those without an API server.

    Raises:
        EtcdError: etcd cannot be asked.
    """
    stored = await etcd.get(KEY) if etcd else None
    return decode(stored.value if stored else None)


# --- for servers -----------------------------------------------------------------------------------
async def server_bootstrap(context: Context, call: Call) -> web.Response:
    """What a joining server needs: the copy in etcd, else the files on this server's disk."""
    if context.etcd is None:
        raise bad_request("etcd disabled")
    credentials = parse_basic(call.request.headers.get("Authorization", ""))
    data = await _stored_bootstrap(context.etcd, credentials[1] if credentials else "")
    if data is None:
        try:
            data = await asyncio.to_thread(BootstrapData.read, context.config.paths.server)
        except (OSError, RKE2Error) as error:
            raise internal("bootstrap", error) from error
    return _json(data.to_json())


async def _stored_bootstrap(etcd: EtcdClient, password: str) -> BootstrapData | None:
    token = str(PasswordToken(password, SERVER_USER))
    try:
        return await BootstrapStore(etcd, token).load()
    except (EtcdError, JoinError) as error:
        log.warning("The bootstrap data in etcd cannot be used, that on disk is: %s", error)
        return None


async def members(context: Context, call: Call) -> web.Response:
    if context.etcd is None:
        raise bad_request("etcd disabled")
    try:
        found = await context.etcd.members(timeout=_MEMBER_LIST_SECONDS)
    except EtcdError as error:
        raise internal("etcd", error) from error
    return _json(db_info(found))


async def not_supported(context: Context, call: Call) -> web.Response:
    """A route of RKE2 that this release does not serve yet."""
    raise StatusError(HTTPStatus.NOT_IMPLEMENTED, f"{call.path} is not supported yet")


def unmatched(context: Context, path: str) -> StatusError:
    """Answers a path that is not in the table: RKE2 hands it to the apiserver (supervisor reference §2.8)."""
    if not context.config.runs_apiserver:
        return unavailable("apiserver disabled")
    if context.core.current is None:
        return unavailable("apiserver not ready")
    return StatusError(_NOT_FOUND, f"{path} not found")


def _bundle(context: Context, authority: Authority) -> web.StreamResponse:
    return _file(certificate_path(context.config.paths.tls / authority.file), "text/plain")


def _file(path: Path, content_type: str = "") -> web.StreamResponse:
    """`path` with Last-Modified and ranges."""
    if not path.is_file():
        raise StatusError(_NOT_FOUND, "not found")
    return web.FileResponse(path, headers={"Content-Type": content_type} if content_type else None)


def _json(body: str | bytes) -> web.Response:
    content = body.encode() if isinstance(body, str) else body
    return web.Response(body=content, content_type="application/json")
