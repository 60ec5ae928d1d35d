"""What a server does for its cluster once the API server answers: `prepare`, then `run_controllers`.

The leader among the servers has `leader_work` besides.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from functools import partial

from rke2.addons.cluster_dns import ensure_cluster_dns
from rke2.addons.crds import ensure_crds
from rke2.addons.deploy import DeployController
from rke2.addons.helm.controller import HelmController
from rke2.addons.helm.jobs import RESOURCES, JobSettings
from rke2.addons.helm.proxy import job_proxy
from rke2.addons.rbac import ensure_roles
from rke2.addons.telling import Tell, tell_nobody
from rke2.config.model import APISERVER_PORT, HelmJobSettings, NodeConfig
from rke2.content.runtime.charts import cluster_values, inject
from rke2.content.runtime.references import image
from rke2.kube.client import Client
from rke2.kube.persistence import lasting, persist

LEGACY_DISABLES = ("rke2-kube-proxy",)
"""Charts of earlier releases, removed wherever they are found (kube-proxy is a static pod)."""


async def prepare(client: Client, egress_mode: str = "agent") -> None:
    """Custom resources established, roles and bindings as this release has them; goes on trying until it is so.

    Args:
        egress_mode: the cluster's ``egress-selector-mode``.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(persist("custom resource definitions", lambda: ensure_crds(client), limit=1.0))
        tasks.create_task(persist("cluster roles", lambda: ensure_roles(client, egress_mode), limit=1.0))


async def run_controllers(
    client: Client,
    config: NodeConfig,
    packaged: Collection[str] = (),
    tell: Tell = tell_nobody,
    values: Mapping[str, str] | None = None,
) -> None:
    """What every server with an API server does, until cancelled: deploy controller, ConfigMap ``cluster-dns``.

    An API server that fails or is away never ends this.

    Args:
        client: with the supervisor's credentials.
        packaged: names of the manifests that belong to this release.
        tell: takes what the status says about manifests.
        values: for HelmCharts that ask for the cluster's facts; those of `config` if none are given.
    """
    deploy = DeployController(
        client,
        config.paths.manifests,
        disabled_manifests(config),
        packaged=(*packaged, *(f"{name}.yaml" for name in LEGACY_DISABLES)),
        node=config.node.name,
        tell=tell,
        adapt=partial(inject, values=cluster_values(config) if values is None else values),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lasting("deploy controller", deploy.run), name="deploy controller")
        tasks.create_task(
            persist("ConfigMap cluster-dns", lambda: ensure_cluster_dns(client, config.network), limit=1.0)
        )


def disabled_manifests(config: NodeConfig) -> frozenset[str]:
    """Names and directories below the manifests directory whose content is to be removed."""
    disable = config.server.disable if config.server else ()
    return frozenset((*disable, *LEGACY_DISABLES))


async def leader_work(client: Client, config: NodeConfig) -> None:
    """One term as leader, until cancelled: the helm controller."""
    await _helm_controller(client, config).run()


def _helm_controller(client: Client, config: NodeConfig) -> HelmController:
    return HelmController(client, job_settings(config), node=config.node.name)


def job_settings(config: NodeConfig) -> JobSettings:
    """What all jobs of this server's helm controller have in common."""
    told = config.server.helm_jobs if config.server else HelmJobSettings()
    return JobSettings(
        image=image(config, "helm-job"),
        apiserver_port=APISERVER_PORT,
        proxy=job_proxy(os.environ, config.network),
        resources=RESOURCES if told.resources is None else told.resources,
        tolerations=told.tolerations,
    )
