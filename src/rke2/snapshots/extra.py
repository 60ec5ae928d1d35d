"""The operator's own metadata for snapshots: the ConfigMap ``rke2-etcd-snapshot-extra-metadata``."""

from __future__ import annotations

import asyncio
import logging

from rke2.config.model import NodeConfig
from rke2.errors import RKE2Error
from rke2.kube.client import Client
from rke2.kube.resources import CONFIG_MAPS

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
NAME = "rke2-etcd-snapshot-extra-metadata"
SECONDS = 5.0
"""How long a snapshot waits for an API server that does not answer."""


async def read_extra(config: NodeConfig) -> dict[str, str]:
    """The data of the ConfigMap; empty if there is none, or no API server to ask.

    A snapshot is most wanted when the API server is down.
    """
    try:
        async with (
            asyncio.timeout(SECONDS),
            Client(config.paths.supervisor_kubeconfig, "rke2", config.node.name) as client,
        ):
            found = await client.find(CONFIG_MAPS, NAME, NAMESPACE)
    except (RKE2Error, OSError, TimeoutError) as error:
        log.warning("The snapshot gets no metadata of ConfigMap %s/%s: %s", NAMESPACE, NAME, error)
        return {}
    return {str(key): str(value) for key, value in ((found or {}).get("data") or {}).items()}
