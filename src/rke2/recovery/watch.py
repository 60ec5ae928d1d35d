"""Finding out that the cluster was restored while this server was away, or cut off.

Its etcd would ask for the others forever: they are of another cluster now. So their supervisors are asked, from the
moment the own member is to start and as long as it runs: also a majority that was cut off from the restore goes on
with the old data until it hears of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from rke2.config.model import NodeConfig
from rke2.errors import EtcdError, JoinError
from rke2.etcd.client import EtcdClient, local_endpoint
from rke2.recovery import decide, peers, state
from rke2.recovery.state import MemberIdentity, Rejoin
from rke2.recovery.wire import Answer

log = logging.getLogger(__name__)

SECONDS = 3.0
"""For one server, which is asked together with all others."""
WELL, ILL = 60.0, 5.0
"""Seconds between two rounds while the own member has a leader, and while it has none."""
PATIENCE, RETRY = 60.0, 1.0
"""Seconds in which one of the others has to answer before a removed member is taken for no more than that."""


async def watch(config: NodeConfig, client: EtcdClient) -> Rejoin:
    """Ask until there is a restored cluster to join; returns the word to do so."""
    while True:
        ill = await _ill(config, client)
        own = await asyncio.to_thread(state.read_identity, config.paths)
        if own and (word := await look(config, own)):
            return word
        await asyncio.sleep(ILL if ill else WELL)


async def look(config: NodeConfig, own: MemberIdentity) -> Rejoin | None:
    """One round: the word to join again if another server's cluster is what became of ours."""
    return _word(own, await _answers(config, SECONDS))


async def look_until_answered(config: NodeConfig, own: MemberIdentity) -> Rejoin | None:
    """As `look`, but silence of all others is no answer, for as long as `PATIENCE`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        found = await _answers(config, ILL)
        if found or loop.time() > end or not urls(config):
            return _word(own, found)
        await asyncio.sleep(RETRY)


def _word(own: MemberIdentity, answers: Mapping[str, Answer]) -> Rejoin | None:
    for url, answer in answers.items():
        if done := decide.stale(own, answer):
            return Rejoin(done.id, url, own.cluster)
    return None


async def _answers(config: NodeConfig, seconds: float) -> dict[str, Answer]:
    """What the servers say that have a member, by URL."""
    asked = list(urls(config))
    found = await asyncio.gather(*(_asked(config, url, seconds) for url in asked))
    return {url: answer for url, answer in zip(asked, found, strict=True) if answer and answer.members}


async def _asked(config: NodeConfig, url: str, seconds: float) -> Answer | None:
    """None also of one that takes connections and says nothing: the others are not waited for because of it."""
    try:
        async with asyncio.timeout(seconds):
            return await peers.ask(config.paths, url)
    except (JoinError, OSError) as error:  # OSError: also the timeout
        log.debug("restores: %s", error)
        return None


def urls(config: NodeConfig) -> Iterable[str]:
    """Of all other servers that are known."""
    known = [peers.url_of(each.host) for each in peers.others(config.paths)]
    joined = [config.join.server_url] if config.join else []
    return dict.fromkeys((*known, *joined))


async def _ill(config: NodeConfig, client: EtcdClient) -> bool:
    try:
        return not (await client.status(local_endpoint(config), timeout=ILL)).leader
    except EtcdError:
        return True
