"""The etcd of the release before: its image is seen to before anything is touched, and what has run is noted down."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from rke2.boot.node import Node
from rke2.boot.process import start_again_when
from rke2.config.model import HeldEtcd, NodeConfig
from rke2.content.images.names import normalize
from rke2.content.images.store import ImageStore
from rke2.content.runtime.references import image
from rke2.errors import ContentError, RKE2Error
from rke2.etcd.client import local_endpoint
from rke2.etcd.exchange import EtcdExchange
from rke2.etcd.ran import EtcdImage, read_record, with_run, write_record
from rke2.lifecycle.service import Policy

log = logging.getLogger(__name__)

PULL_SECONDS = 120.0
"""For an image that no archive has: whoever has no registry is to be told, not to wait."""


def held(config: NodeConfig) -> bool:
    """Whether this start goes on with the former etcd."""
    return _held(config) is not None


def _held(config: NodeConfig) -> HeldEtcd | None:
    return config.server.held_etcd if config.server else None


def keep_exchange(node: Node) -> EtcdExchange | None:
    """What the supervisor answers with, and the service that starts the process again when another etcd is wanted."""
    if node.server.member is None:
        return None
    exchange = EtcdExchange(node.config)
    node.services.keep("exchange of etcd", partial(start_again_when, exchange.wanted), Policy.RESTART)
    return exchange


async def ensure(node: Node) -> None:
    """Have the image of the former etcd in containerd, before the kubelet sees another pod than the one that runs.

    Raises:
        ContentError: it is not on this node, and no registry has it; nothing was touched.
    """
    reference, former = image(node.config, "etcd"), _held(node.config)
    assert former, "the phase is there where it is held"
    await node.images.available(reference)
    found = await ImageStore.of_node(node.config).digests()
    if normalize(reference) not in found:
        await _pull(node, reference, former)
    elif former.digest not in ("", found[normalize(reference)]):
        log.warning("image %s is not the one that ran the data of etcd before: its digest differs", reference)
    log.info(
        "etcd stays %s until `rke2 upgrade finish`; this release brings %s", former.version, former.brought
    )


async def _pull(node: Node, reference: str, former: HeldEtcd) -> None:
    node.waiting("former etcd", f"image {reference} to be pulled")
    try:
        async with asyncio.timeout(PULL_SECONDS):
            await node.cri.pull(reference)
    except (RKE2Error, TimeoutError) as error:
        reason = error.message if isinstance(error, RKE2Error) else f"no answer in {PULL_SECONDS:.0f} s"
        raise ContentError(
            f"etcd {former.version}, which has last run the data of this server, is not on this node: image"
            f" {reference} is in neither containerd nor {node.config.paths.images}, and was not pulled ({reason});"
            " nothing was touched",
            f"put the archive rke2-images-core of the release before into {node.config.paths.images} under another"
            " name, or start that release again",
        ) from error


async def note(node: Node) -> None:
    """Write down which etcd runs the data now, and keep its image: the next release may have to start with it.

    Raises:
        RKE2Error: etcd or containerd does not answer.
        OSError: it cannot be written.
    """
    reference, paths, store = image(node.config, "etcd"), node.config.paths, ImageStore.of_node(node.config)
    status = await node.server.etcd.status(local_endpoint(node.config))
    digest = (await store.digests()).get(normalize(reference), "")
    now = EtcdImage(reference, status.version, digest)
    before = await asyncio.to_thread(read_record, paths)
    record = with_run(before, now, held=held(node.config))
    await asyncio.to_thread(write_record, paths, record)
    for each in filter(None, (record.ran, record.former)):
        if each.digest:
            await store.pin(normalize(each.image))
