"""A supervisor in a thread of its own, and clients that speak TLS and HTTP with nothing of ours."""

from __future__ import annotations

import asyncio
import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from rke2.config.model import NodeConfig
from rke2.join.credentials import ensure_server_credentials, further_agent_passwords
from rke2.join.passwd import Passwd
from rke2.join.shared import SharedKeys
from rke2.kube.objects import Object
from rke2.kube.resources import NODES
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.server_pki import ensure_server_pki
from rke2.snapshots.taking import Snapshots
from rke2.supervisor.api.metrics import Figures
from rke2.supervisor.failed_logins import FailedLogins
from rke2.supervisor.server import SupervisorServer
from rke2.tunnel.routing import Dialer, Routes
from rke2.tunnel.server import TunnelServer
from tests.authorities import certify, name_of, new_key, pem, place
from tests.configs import paths_under, server_config
from tests.unit.supervisor.client import Answer
from tests.unit.supervisor.kube import Kube, core_over
from tests.unit.supervisor.test_server import until_certificates_are_issued

T = TypeVar("T")
PrivateKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
TOKEN, AGENT_TOKEN = "for servers", "for agents"
SERVER, NODE = f"server:{TOKEN}", f"node:{AGENT_TOKEN}"


@dataclass
class Supervisor:
    """A running supervisor of the server ``node1``."""

    config: NodeConfig
    server: SupervisorServer
    kube: Kube
    loop: asyncio.AbstractEventLoop
    tunnel: TunnelServer
    ready: bool = False
    told: dict[str, str] = field(default_factory=dict)
    """What the operator has to see to, by what it is about."""
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def tls(self) -> Path:
        return self.config.paths.tls

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def become_ready(self, *, wait: bool = True) -> None:
        """Let it answer from the API; `wait` until it has seen to its own node password, too."""
        self.run(self._become_ready(wait))

    async def _become_ready(self, wait: bool) -> None:
        core = core_over(self.kube, self.config)
        self._tasks.append(asyncio.create_task(core.run()))
        await core.synced()
        self.server.core.publish(core)
        if wait:
            await until_certificates_are_issued(self.server)

    async def end(self) -> None:
        await self.server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- clients -----------------------------------------------------------------------------------
    def context(self, stem: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.tls / "server-ca.crt"))
        if stem:
            context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
        return context

    def connect(self, stem: Path | None = None, name: str = "127.0.0.1") -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.context(stem).wrap_socket(raw, server_hostname=name)

    def ask(
        self,
        method: str,
        path: str,
        user: str = "",
        *,
        stem: Path | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request over a connection of its own; `user` is ``name:password``."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.context(stem), timeout=20
        )
        sent = dict(headers or {})
        if user:
            sent["Authorization"] = basic(user)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def pem(self, name: str) -> bytes:
        return (self.tls / name).read_bytes()


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


@contextmanager
def supervisor(
    root: Path,
    *,
    etcd: Any = None,
    dialer: Any = None,
    snapshots: Callable[[NodeConfig], Snapshots] | None = None,
    shared: Callable[[NodeConfig], SharedKeys] | None = None,
    figures: Figures | None = None,
    slowest: float = 0.0,
    **changes: Any,
) -> Iterator[Supervisor]:
    """A supervisor whose files are below `root`.

    Args:
        slowest: seconds that a failed login waits at most; tests log in wrongly by the hundred.
        changes: for `server_config`.
    """
    config = configured(root, **changes)
    passwd = Passwd.read(config.paths.cred / "passwd")
    assert passwd
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    tunnel, told = TunnelServer(), dict[str, str]()
    server = SupervisorServer(
        config,
        passwd,
        tunnel=tunnel,
        dialer=dialer or Dialer(Routes(), tunnel, config.node.name),
        etcd=etcd,
        snapshots=snapshots(config) if snapshots else None,
        shared=shared(config) if shared else None,
        agents=further_agent_passwords(config),
        figures=figures,
        tell=told.__setitem__,
        port=0,
    )
    server._failed_logins = FailedLogins(slowest=slowest)
    running = Supervisor(config, server, Kube(), loop, tunnel, told=told)
    running.run(ensure_agent_pki(config, LocalSigner(config)))
    running.run(server.start())
    try:
        yield running
    finally:
        running.run(running.end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def configured(root: Path, *, agent_token: str = AGENT_TOKEN, **changes: Any) -> NodeConfig:
    network = {"bind_address": "127.0.0.1", **changes.pop("network", {})}
    server = {"token": TOKEN, "agent_token": agent_token, **changes.pop("server", {})}
    config = server_config(paths_under(root), network=network, server=server, **changes)
    ensure_server_pki(config)
    ensure_server_credentials(config)
    return config


# --- certificates of others ------------------------------------------------------------------------
def foreign(folder: Path) -> Path:
    """A certificate that says ``system:masters`` and is signed by itself."""
    key = new_key()
    place(folder / "foreign", pem(certify("system:masters", key, "system:masters", key, ca=False)), key)
    return folder / "foreign"


def out_of_time(
    tls: Path, folder: Path, name: str, begin: timedelta, end: timedelta, node: str = "node1"
) -> Path:
    """A kubelet's certificate of the client CA, valid from now + `begin` to now + `end`."""
    subject = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, f"system:node:{node}")]
    return certified(tls, folder / name, subject, begin, end)


def certified(
    tls: Path,
    stem: Path,
    subject: Sequence[tuple[x509.ObjectIdentifier, str]],
    begin: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=1),
) -> Path:
    """A certificate of the client CA for `subject`, with its key, in `stem`."""
    ca = x509.load_pem_x509_certificate((tls / "client-ca.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((tls / "client-ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key, now = new_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    builder = x509.CertificateBuilder(
        ca.subject, name, key.public_key(), x509.random_serial_number(), now + begin, now + end
    )
    place(stem, pem(builder.sign(ca_key, hashes.SHA256())), key)
    return stem


def csr(key: PrivateKey, subject: x509.Name | None = None, *extensions: x509.ExtensionType) -> bytes:
    """A signing request in DER, by default with a subject that nobody may have."""
    request = x509.CertificateSigningRequestBuilder(subject or name_of("system:masters"))
    for extension in extensions:
        request = request.add_extension(extension, critical=False)
    algorithm = (
        None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    )
    return request.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def node(
    name: str,
    *,
    address: str = "192.0.2.77",
    kind: str = "InternalIP",
    created: str = "",
    external: str = "",
    **labels: str,
) -> Object:
    """A Node; `address` may be several, `external` what RKE2 annotates it with for a cloud controller."""
    meta: Object = {"name": name, "labels": labels, "creationTimestamp": created or "2026-01-01T00:00:00Z"}
    if external:
        meta["annotations"] = {"rke2.io/external-ip": external}
    addresses = [{"type": kind, "address": text} for text in address.split(",")]
    return {"metadata": meta, "status": {"addresses": addresses}}


def register(running: Supervisor, name: str, **more: str) -> None:
    """Create the Node `name`; `more` are arguments of `node`."""

    async def put() -> None:
        running.kube.put(NODES, node(name, **more))

    running.run(put())


async def until_known(running: Supervisor, name: str) -> None:
    """Wait until the supervisor has heard of the Node `name`."""
    core = running.server.core.current
    assert core
    async with asyncio.timeout(10):
        while core.node(name) is None:
            await asyncio.sleep(0.01)
