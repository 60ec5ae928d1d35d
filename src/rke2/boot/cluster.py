"""What follows once the API server answers: controllers, and this node as a member of the cluster."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial

from rke2.addons.ingress import controller_of_cluster
from rke2.addons.start import leader_work, prepare, run_controllers
from rke2.boot import figures, renewal, restored, upgrades
from rke2.boot.explaining import until_registered
from rke2.boot.node import Node
from rke2.components.registration import register
from rke2.config.model import NodeConfig
from rke2.config.profiles import profile_of
from rke2.content.runtime.charts import cluster_values, packaged, stage
from rke2.controllers.after_reset import after_reset
from rke2.controllers.certificate_monitor import CertificateMonitor, certificate_files
from rke2.controllers.flannel_hosts import FlannelHosts
from rke2.controllers.guarded_namespaces import guard
from rke2.controllers.node_roles import role_annotations, role_labels
from rke2.controllers.table import Work, run_server_controllers
from rke2.join.credentials import ensure_etcd_name
from rke2.kube.client import Client
from rke2.kube.persistence import persist
from rke2.lifecycle.service import Policy
from rke2.rollout.controller import PlanController
from rke2.rollout.snapshot import before_upgrade
from rke2.supervisor.figures_listener import FiguresListener

log = logging.getLogger(__name__)


async def controllers(node: Node) -> None:
    """Bring roles and custom resources up to date, then leave the controllers running."""
    restored.lead_to_the_end(node)
    prepared = asyncio.Event()
    node.services.keep("controllers", partial(_controllers, node, prepared), Policy.RESTART)
    await prepared.wait()
    node.core_ready.set()


async def _controllers(node: Node, prepared: asyncio.Event) -> None:
    async with node.supervisor() as client:
        # Roles and CRDs before any controller: without them each would be refused, and back off.
        await prepare(client, node.config.network.egress_selector_mode)
        await after_reset(client, node.config)
        values = cluster_values(await _keep_ingress_controller(node, client))
        # Before the controllers run: a lease may be another server's, and the boot is not to wait for that.
        prepared.set()
        async with asyncio.TaskGroup() as tasks:
            if _guards(node.config):
                tasks.create_task(persist("profile cis", partial(guard, client)), name="profile cis")
            tasks.create_task(_for_the_cluster(node, client), name="server controllers")
            if node.config.runs_apiserver:
                names = [chart.name for chart in packaged(node.content.charts)]
                work = run_controllers(client, node.config, names, node.progress.trouble, values)
                tasks.create_task(work, name="addon controllers")


def _guards(config: NodeConfig) -> bool:
    return config.runs_apiserver and profile_of(config.profile).guarded_namespaces


async def _keep_ingress_controller(node: Node, client: Client) -> NodeConfig:
    """Stage the charts again where nobody chose an ingress controller and the cluster has another than the default.

    Returns:
        The configuration that the charts are staged for.
    """
    config, network = node.config, node.config.network
    if not (network.ingress_by_default and config.runs_apiserver):
        return config
    # The charts are staged already, for a new cluster: so no boot waits for this answer.
    kept = await persist("the cluster's ingress controller", lambda: controller_of_cluster(client), limit=1.0)
    if kept and kept not in network.ingress_controllers:
        log.info("the cluster's ingress controller is %s; it stays, as ingress-controller is not set", kept)
        config = replace(config, network=replace(network, ingress_controllers=(kept,)))
        await asyncio.to_thread(stage, node.content.charts, config)
    return config


async def _for_the_cluster(node: Node, client: Client) -> None:
    config = node.config
    member = "" if config.component("etcd").disabled else ensure_etcd_name(config)
    leading: dict[str, Work] = {"helm controller": partial(leader_work, client, config)}
    if _guards(config) and "canal" in config.network.cni:
        leading["network policies for hosts"] = lambda: FlannelHosts(client).run()
    half = node.server
    leading["plans"] = lambda: PlanController(
        client, half.etcd, before_upgrade(half.snapshots), node=config.node.name
    ).run()
    await run_server_controllers(client, config, half.etcd, member, snapshots=half.snapshots, leading=leading)


async def own_node(node: Node) -> None:
    """Wait for the kubelet to register the node, then label and annotate it."""
    notes = await asyncio.to_thread(role_annotations, node.config)
    async with node.supervisor() as client:
        await until_registered(node, register(client, node.config, role_labels(node.config), notes))
    node.services.keep("upgrades by plans", partial(upgrades.follow, node), Policy.RESTART)


async def agents_node(node: Node) -> None:
    """The same on an agent, with what its kubelet may change of its own Node."""
    node.services.begin(renewal.of_node(node), Policy.RESTART)
    async with node.kubelet() as client:
        await until_registered(node, register(client, node.config, {}))
    node.services.keep("upgrades by plans", partial(upgrades.follow, node), Policy.RESTART)
    node.services.keep("certificate monitor", partial(_watch_certificates, node), Policy.RESTART)
    if node.config.supervisor_metrics:
        node.services.keep("metrics", partial(_serve_figures, node), Policy.RESTART)


async def _serve_figures(node: Node) -> None:
    async with node.kubelet() as client:
        await FiguresListener(node.config, partial(figures.answer, node), client).run(lambda: None)


async def _watch_certificates(node: Node) -> None:
    async with node.kubelet() as client:
        await CertificateMonitor(client, node.config.node.name, certificate_files(node.config)).run()
