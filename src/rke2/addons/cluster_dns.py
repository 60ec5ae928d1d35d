"""ConfigMap ``kube-system/cluster-dns``: tells agents the DNS address and domain. Made once, never updated."""

from __future__ import annotations

from rke2.config.model import NetworkSettings
from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import Object
from rke2.kube.resources import CONFIG_MAPS


def cluster_dns(network: NetworkSettings) -> Object:
    """The ConfigMap for these settings."""
    first = str(network.cluster_dns[0]) if network.cluster_dns else ""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-dns", "namespace": "kube-system"},
        "data": {"clusterDNS": first, "clusterDomain": network.cluster_domain},
    }


async def ensure_cluster_dns(client: Client, network: NetworkSettings) -> None:
    """Create it if it is not there.

    Raises:
        KubeError: the API refused or does not answer.
    """
    try:
        await client.create(CONFIG_MAPS, cluster_dns(network))
    except KubeError as error:
        if error.reason != "AlreadyExists":
            raise
