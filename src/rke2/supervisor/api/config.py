"""The cluster's settings, which every node takes over from a server (supervisor reference §6.1)."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from rke2.config.model import NodeConfig
from rke2.join.cluster_config.encode import encode_config
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call


class ConfigHandlers:
    """Answers with the cluster's settings.

    Args:
        config: the server's own configuration.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config

    async def config(self, call: Call) -> web.Response:
        return json_response(json.dumps(await asyncio.to_thread(encode_config, self._config)))
