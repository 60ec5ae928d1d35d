"""Who this node is: certificates, tokens, kubeconfigs, and the server that other nodes ask for theirs."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from rke2.boot import figures, former_etcd, renewal, restored
from rke2.boot.node import Node, local_api_port
from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.config.node import keep_node_id
from rke2.join.credentials import (
    check_server_token,
    ensure_server_credentials,
    further_agent_passwords,
)
from rke2.join.passwd import Passwd
from rke2.join.shared import SharedKeys
from rke2.lifecycle.liveness import Watched
from rke2.lifecycle.service import Policy
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.kubeconfigs import ensure_admin_kubeconfig, ensure_agent_kubeconfigs, ensure_server_kubeconfigs
from rke2.pki.lifetime import leaf_lifetime
from rke2.pki.renewed import repair
from rke2.pki.server_pki import check_server_pki, ensure_server_pki
from rke2.staticpods.admission import write_policies
from rke2.supervisor.core import Core
from rke2.supervisor.listener import listen
from rke2.supervisor.server import SupervisorServer
from rke2.tunnel.targets import follow

log = logging.getLogger(__name__)


def check(config: NodeConfig) -> None:
    """See whether what is on disk and in the configuration fits together; writes only what a crash left half written.

    Raises:
        PKIError: a certificate, key or token file cannot be used.
        ConfigError: a configured token is another cluster's, the bind address is not this machine's, or the lifetime
            of certificates is not a number.
    """
    leaf_lifetime()
    for listener in listen(config.network.bind_address, SUPERVISOR_PORT):
        # Only tried: the phase that listens comes much later, and nothing is to be written before it can.
        listener.close()
    check_server_token(config)
    # Before they are judged: a loss of power during a renewal may have left half a certificate.
    repair(config.paths)
    check_server_pki(config)


async def certificates(node: Node) -> None:
    """Make or renew everything that identifies the node and its components; unchanged files stay untouched."""
    await asyncio.to_thread(_server_side, node.config)
    await ensure_agent_pki(node.config, LocalSigner(node.config))
    await asyncio.to_thread(_kubeconfigs, node.config)


def _server_side(config: NodeConfig) -> None:
    keep_node_id(config.node, config.paths.node_config_dir / "id")
    report = ensure_server_pki(config)
    log.info("certificates: %s", report)
    ensure_server_credentials(config)
    write_policies(config)


def _kubeconfigs(config: NodeConfig) -> None:
    ensure_server_kubeconfigs(config)
    local = {"kubelet.kubeconfig": f"https://127.0.0.1:{local_api_port(config)}"}
    ensure_agent_kubeconfigs(config, local if config.runs_apiserver else {})
    ensure_admin_kubeconfig(config)


async def supervisor(node: Node) -> None:
    """Listen on port 9345 from now on; what needs the Kubernetes API is answered once that is up."""
    passwd = Passwd.read(node.config.paths.cred / "passwd")
    assert passwd is not None, "written with the certificates"
    half, agents = node.server, await asyncio.to_thread(further_agent_passwords, node.config)
    server = SupervisorServer(
        node.config,
        passwd,
        tunnel=half.tunnel,
        dialer=half.dialer,
        etcd=half.member,
        snapshots=half.snapshots,
        drills=half.drills,
        recovery=restored.keep_recovery(node),
        exchange=former_etcd.keep_exchange(node),
        shared=SharedKeys(node.config.paths, half.etcd),
        agents=agents,
        figures=partial(figures.answer, node) if node.config.supervisor_metrics else None,
        report=node.progress.service,
        tell=node.progress.trouble,
    )
    await server.start()
    node.services.at_the_end("supervisor", server.stop)
    node.liveness.watch(Watched(f"port {SUPERVISOR_PORT}", server.answers, server.reopen))
    node.services.begin(renewal.of_node(node), Policy.RESTART)
    node.services.keep("supervisor: view of the cluster", partial(_tell_core, node, server), Policy.RESTART)


async def _tell_core(node: Node, server: SupervisorServer) -> None:
    """Let the server answer from the Kubernetes API once that is up."""
    await node.core_ready.wait()
    async with node.supervisor() as client, asyncio.TaskGroup() as tasks:
        core = Core(client, node.config)
        mode = node.config.network.egress_selector_mode
        # Tasks start in the order of their creation: this one has to listen
        # before `core.run` lists the nodes.
        tasks.create_task(follow(core.nodes, client, node.server.routes, mode, partial(_report, core)))
        tasks.create_task(core.run())
        # Published only when complete: with half of it, names that are known would be given away as new.
        await core.synced()
        server.core.publish(core)
        try:
            await asyncio.Event().wait()
        finally:
            # Its client closes with this block: until there is another core, requests are told to come again.
            server.core.withdraw()


def _report(core: Core, name: str, message: str) -> None:
    """Tell of an address that a Node claims and does not get, in the log and as an event on the Node."""
    if found := core.node(name):
        core.events.emit(found, "Warning", "AddressNotTunnelled", message)
