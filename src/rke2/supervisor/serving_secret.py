"""The Secret through which servers come to serve the same certificate (supervisor reference §1.1)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.objects import Object, annotations_of, metadata
from rke2.kube.persistence import persist
from rke2.kube.resources import SECRETS
from rke2.supervisor.growth import GrowingCertificate
from rke2.supervisor.serving import NAME, NAMESPACE, ServingCertificate

log = logging.getLogger(__name__)
_DATA = ("tls.crt", "tls.key")
_STATIC = "listener.cattle.io/static"


async def keep_in_step(client: Client, serving: GrowingCertificate) -> None:
    """Merge the Secret into `serving` and `serving` into the Secret whenever one of them changes, until cancelled."""
    changed = asyncio.Event()
    changed.set()
    informer = Informer(client, SECRETS, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}")
    informer.listen(lambda _: changed.set())
    async with AsyncExitStack() as stack:
        # Begun again with another client, it must not leave a listener each time.
        stack.callback(serving.slot.listen(changed.set))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(informer.run())
        while True:
            await changed.wait()
            # Before the Secret is read: a change during that is the next one to merge.
            changed.clear()
            await persist("keeping the supervisor's certificate", lambda: reconcile(client, serving))


async def reconcile(client: Client, serving: GrowingCertificate) -> None:
    """Make Secret and `serving` equal.

    Raises:
        KubeError: the API cannot be asked, or another server was faster (conflict).
    """
    live = await client.find(SECRETS, NAME, NAMESPACE)
    if live is None:
        await client.create(SECRETS, serving.current.secret())
        return
    _take_over(live, serving)
    # After the merge, which may have put another certificate in place.
    wanted = serving.current.secret()
    if _same(live, wanted) or annotations_of(live).get(_STATIC) == "true":
        return
    try:
        await client.update(SECRETS, _onto(live, wanted))
    except KubeError as error:
        if error.status != 422:
            raise
        # The type of a Secret cannot be changed.
        await client.delete(SECRETS, NAME, NAMESPACE, uid=str(metadata(live).get("uid", "")))
        await client.create(SECRETS, wanted)


def _take_over(live: Object, serving: GrowingCertificate) -> None:
    try:
        serving.merge(ServingCertificate.from_secret(live))
    except ValueError as error:
        log.warning("Secret %s/%s is unusable and is written again: %s", NAMESPACE, NAME, error)


def _same(live: Object, wanted: Object) -> bool:
    """Whether `live` says what `wanted` does: its annotations, too, by which a server of RKE2 looks for names."""
    data = (live.get("data") or {}, wanted["data"], _DATA)
    names = (annotations_of(live), annotations_of(wanted), annotations_of(wanted))
    return all(is_.get(key) == ought[key] for is_, ought, keys in (data, names) for key in keys)


def _onto(live: Object, wanted: Object) -> Object:
    """`wanted` as the next version of `live`, without the annotations of its old names."""
    kept = {
        key: value for key, value in annotations_of(live).items() if not key.startswith("listener.cattle.io/")
    }
    meta = {**metadata(live), "annotations": {**kept, **annotations_of(wanted)}}
    # With the resourceVersion of what was read: if another server
    # was faster this is refused, and merged again.
    return {**live, **wanted, "metadata": meta}
