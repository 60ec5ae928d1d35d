"""An etcd for a moment: a child of this process on loopback ports of its own, with certificates nobody else has.

What a restored or orphaned database holds is looked at and put right through it. Clients and peers cannot come in; it
ends with this process, whatever ends that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from rke2 import goyaml
from rke2.config.addresses import loopback, on_loopback
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import ComponentError, EtcdError
from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import Self
from rke2.host.files import ensure_dir, write_atomic
from rke2.kube.apiservers import KEY
from rke2.lifecycle.logfile import LogFile
from rke2.lifecycle.process import Command, Process
from rke2.lifecycle.waiting import until
from rke2.pki.server_pki import ensure_server_pki
from rke2.snapshots.bounds import Bounds
from rke2.staticpods import etcd_config

log = logging.getLogger(__name__)

POLL = 0.1
_LAST_LINES = 5


@contextlib.asynccontextmanager
async def temporary_member(
    config: NodeConfig,
    own: Self,
    data: Path,
    scratch: Path,
    etcd: Path,
    *,
    force_new_cluster: bool = False,
    log_name: str = "reset-etcd.log",
    bounds: Bounds | None = None,
) -> AsyncIterator[EtcdClient]:
    """Run etcd on the data directory `data` inside the block; it answers from the beginning.

    Args:
        scratch: a directory for certificates and configuration.
        etcd: the program.
        force_new_cluster: forget all other members.
        log_name: of the file beside the data directory that etcd writes to.
        bounds: of the process.

    Raises:
        ComponentError: it ended; with its last words.
    """
    apart = replace(config, paths=Paths(data_dir=scratch / "apart"))
    ensure_server_pki(apart)
    client_port, peer_port = _free_ports(config, 2)
    endpoint = f"https://{on_loopback(config, client_port)}"
    file = scratch / "etcd.yaml"
    initial = etcd_config.single_member(config, own.name)
    document = etcd_config.document(
        apart, own.name, initial, timing=etcd_config.ALONE, force_new_cluster=force_new_cluster
    )
    document |= {
        "data-dir": str(data),
        "advertise-client-urls": endpoint,
        "listen-client-urls": endpoint,
        "listen-peer-urls": f"https://{on_loopback(config, peer_port)}",
    }
    for unwanted in ("listen-client-http-urls", "listen-metrics-urls"):
        document.pop(unwanted, None)
    write_atomic(file, goyaml.dump(document))
    ensure_dir(data, 0o700)
    command = Command(
        "etcd",
        [etcd, f"--config-file={file}"],
        LogFile(config.paths.etcd.with_name(log_name)),
        env=bounds.environment() if bounds else dict(os.environ),
    )
    process = await Process.start(command)
    if bounds:
        bounds.hold(process.pid)
    try:
        async with EtcdClient.of(apart, (endpoint,)) as client:
            await until(lambda: _missing(process, data, client, endpoint), interval=POLL, say=log.debug)
            yield client
    finally:
        await process.stop()


async def _missing(process: Process, data: Path, client: EtcdClient, endpoint: str) -> str:
    if not process.running:
        how, file = await process.wait(), process.command.log
        raise ComponentError(
            f"etcd ended ({how}) on the data in {data}; its last words:\n{file.tail(_LAST_LINES)}",
            f"the whole log is {file.path}",
        )
    try:
        status = await client.status(endpoint)
    except EtcdError as error:
        return error.message
    return "" if status.leader else "etcd has no leader yet"


def _free_ports(config: NodeConfig, number: int) -> list[int]:
    host = loopback(config)
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server((host, 0), family=_family(host))) for _ in range(number)
        ]
        return [each.getsockname()[1] for each in sockets]


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


async def put_right(client: EtcdClient, own: Self) -> None:
    """Have the only member be where this server is, without alarms, and without addresses of API servers that are gone.

    A restore carries the alarm that a full database raised, under the name of a member that is no more.

    Raises:
        EtcdError: it has other members, or refuses.
    """
    members = await client.members()
    if len(members) != 1:
        names = ", ".join(each.name for each in members)
        raise EtcdError(f"etcd still has more than one member: {names}", "run the cluster reset again")
    if own.peer_url not in members[0].peer_urls:
        log.info("The member's address was %s and is %s now", ", ".join(members[0].peer_urls), own.peer_url)
        await client.update_peer(members[0].id, (own.peer_url,))
    for alarm in await client.alarms():
        log.info("Taking back the alarm %s", alarm)
        await client.disarm(alarm)
    await client.put(KEY, b"")
