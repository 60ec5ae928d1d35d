"""What a cluster is called in the metadata of its snapshots in S3: the UID of the namespace kube-system, as in RKE2."""

from __future__ import annotations

import asyncio
import logging

from rke2.config.model import NodeConfig
from rke2.errors import RKE2Error
from rke2.kube.client import Client
from rke2.kube.objects import metadata
from rke2.kube.resources import NAMESPACES

log = logging.getLogger(__name__)

SECONDS = 5.0
"""How long an upload waits for an API server that does not answer."""


class ClusterId:
    """The id, asked for once.

    Attributes:
        known: empty until an API server has answered.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self.known = ""

    async def read(self) -> str:
        """The id; empty if there is no API server to ask."""
        if not self.known:
            try:
                async with (
                    asyncio.timeout(SECONDS),
                    Client(
                        self._config.paths.supervisor_kubeconfig, "rke2", self._config.node.name
                    ) as client,
                ):
                    self.known = str(metadata(await client.get(NAMESPACES, "kube-system")).get("uid") or "")
            except (RKE2Error, OSError, TimeoutError) as error:
                log.debug("the cluster's id is not known: %s", error)
        return self.known
