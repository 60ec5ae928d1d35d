"""All controllers of a server, where each belongs (controllers reference §1).

======================  ==========================================================
every server            etcd metadata, self-delete, certificate monitor; with a member, its snapshots as objects
leader of ``rke2``      node passwords, and what the caller adds
leader of ``rke2-etcd`` removal of etcd members, API addresses, the condition of other servers' members, the
                        ConfigMap of snapshots
======================  ==========================================================

The promotion of etcd's learners needs no Kubernetes API: `rke2.etcd.upkeep`.

Only servers with an API server compete for the leases. A lease that is lost, an etcd that is slow and an API server
that is away stop work and end nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from rke2.config.model import NodeConfig
from rke2.controllers.api_addresses import APIAddresses
from rke2.controllers.certificate_monitor import CertificateMonitor, certificate_files
from rke2.controllers.etcd_metadata import EtcdMetadata, OwnMember
from rke2.controllers.etcd_voters import EtcdVoters
from rke2.controllers.member_removal import MemberRemoval
from rke2.controllers.node_passwords import NodePasswordController
from rke2.controllers.self_delete import SelfDelete
from rke2.datastore.requests import EtcdRequests
from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.lease import Election, LeaseTiming
from rke2.kube.persistence import lasting
from rke2.kube.resources import NODES
from rke2.snapshots.configmap import SnapshotConfigMap
from rke2.snapshots.reconciling import SnapshotFiles
from rke2.snapshots.taking import Snapshots

LEASE = "rke2"
ETCD_LEASE = "rke2-etcd"

Work = Callable[[], Awaitable[None]]
"""Runs until cancelled; called again for each term of leadership."""


async def run_server_controllers(
    client: Client,
    config: NodeConfig,
    etcd: EtcdRequests,
    member: str,
    *,
    snapshots: Snapshots | None = None,
    leading: Mapping[str, Work] = MappingProxyType({}),
) -> None:
    """Every controller of a server, until cancelled.

    Args:
        client: with the supervisor's credentials.
        etcd: the own member, or where this server has none, any other one.
        member: name of the own etcd member; empty on a server without etcd.
        snapshots: of the own member; None on a server without etcd.
        leading: further work of the leader of ``rke2``, by name.

    Raises:
        ValueError: a variable ``CATTLE_ELECTION_*`` is no duration.
    """
    node = config.node.name
    own = Informer(client, NODES, field_selector=f"metadata.name={node}")
    work: dict[str, Work] = {
        "watch of the own node": own.run,
        "etcd metadata": EtcdMetadata(client, own, node, etcd, _own_member(config, member)).run,
        "self-delete": SelfDelete(config.paths, own, etcd, member).run,
        "certificate monitor": CertificateMonitor(client, node, certificate_files(config)).run,
    }
    if snapshots:
        work["etcd snapshot files"] = SnapshotFiles(client, snapshots).run
    if config.runs_apiserver:
        work |= _elections(client, config, etcd, leading)
    await together(work)


def _own_member(config: NodeConfig, member: str) -> OwnMember | None:
    return OwnMember(member, str(config.node.ips[0])) if member else None


def _elections(
    client: Client, config: NodeConfig, etcd: EtcdRequests, leading: Mapping[str, Work]
) -> dict[str, Work]:
    """One candidate per lease. Its identity is the node name: host names need not be unique in a cluster."""
    node, timing = config.node.name, LeaseTiming.from_environment(os.environ)
    leases: dict[str, Mapping[str, Work]] = {
        LEASE: {"node passwords": lambda: NodePasswordController(client).run(), **leading},
        ETCD_LEASE: {
            "removal of etcd members": lambda: MemberRemoval(client, etcd, node).run(),
            "API addresses": lambda: APIAddresses(client, etcd).run(),
            "conditions of etcd members": lambda: EtcdVoters(client, etcd).run(),
            "ConfigMap of snapshots": lambda: SnapshotConfigMap(client, node).run(),
        },
    }
    return {
        f"lease {name}": _candidacy(Election(client, name, node, timing=timing), work)
        for name, work in leases.items()
    }


def _candidacy(election: Election, work: Mapping[str, Work]) -> Work:
    return lambda: election.run(lambda: together(work))


async def together(work: Mapping[str, Work]) -> None:
    """All of `work` at the same time, until all are done or this is cancelled; one that fails is run again."""
    async with asyncio.TaskGroup() as tasks:
        for name, one in work.items():
            tasks.create_task(lasting(name, one), name=name)
