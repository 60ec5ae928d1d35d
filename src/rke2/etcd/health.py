"""Whether the local etcd member is up, asked on its metrics listener as its own probe does."""

from __future__ import annotations

import json

import aiohttp

from rke2.config.addresses import on_loopback
from rke2.config.model import NodeConfig
from rke2.staticpods.etcd_config import METRICS_PORT

_TIMEOUT = aiohttp.ClientTimeout(total=5)


async def member_health(config: NodeConfig) -> str:
    """Why the member cannot be relied on yet; empty if it has a leader and no alarm.

    The question goes through consensus (it is not ``serializable``), so a learner or a member without
    quorum does not pass.
    """
    url = f"http://{on_loopback(config, METRICS_PORT)}/health"
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(url) as response:
            # Neither status nor content type count: etcd tells that it is not healthy with 503 and as
            # text/plain, with the reason in the same JSON.
            answer = json.loads(await response.text())
    except aiohttp.ClientConnectorError:
        return "etcd does not listen yet"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return f"etcd does not answer: {error or type(error).__name__}"
    # A word in quotes, not JSON's true.
    if str(answer.get("health")).lower() != "true":
        return f"etcd is not healthy: {answer.get('reason') or 'no reason given'}"
    return ""
