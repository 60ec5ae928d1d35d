"""Writes every Secret again, so that it is encrypted with the key that is the first one now.

An empty patch is enough: the API server sees that what etcd has was encrypted with another key, and stores it again.
So no Secret's content comes here, and nobody's change is overwritten. (RKE2 sends every Secret back as it read it.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

from rke2.errors import KubeError
from rke2.host.parallel import for_each
from rke2.kube.client import Client
from rke2.kube.objects import Object, key_of
from rke2.kube.resources import SECRETS

log = logging.getLogger(__name__)

PER_SECOND = 200.0
"""RKE2's limit: other requests have to be answered meanwhile."""
WORKERS = 4
PROGRESS = 50
"""Secrets from one report to the next."""
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""Answers that need no second try: it was deleted, or somebody else has written it meanwhile, with the same key."""


async def rewrite(client: Client, report: Callable[[int], None], *, per_second: float = PER_SECOND) -> int:
    """Have all Secrets stored again.

    Args:
        report: gets how many are done, at each `PROGRESS`.
        per_second: limit.

    Returns:
        How many there are.

    Raises:
        KubeError: the API server refuses one, or does not answer; those before are done.
    """
    found = (await client.list(SECRETS, metadata_only=True)).items
    pace, done = _Pace(per_second), 0

    async def store(secret: Object) -> None:
        nonlocal done
        await pace.wait()
        await _store_again(client, secret)
        done += 1
        if done % PROGRESS == 0:
            report(done)

    await for_each(found, store, at_once=WORKERS)
    return done


async def _store_again(client: Client, secret: Object) -> None:
    namespace, name = key_of(secret)
    try:
        await client.patch(SECRETS, name, {}, namespace=namespace, metadata_only=True)
    except KubeError as error:
        if error.status not in _GONE:
            raise


class _Pace:
    """Lets so many pass in a second, at even distances."""

    def __init__(self, per_second: float) -> None:
        self._distance, self._next = 1.0 / per_second, 0.0

    async def wait(self) -> None:
        now = asyncio.get_running_loop().time()
        # Looked at and moved on without an await: each worker has a turn of its own.
        turn = max(now, self._next)
        self._next = turn + self._distance
        await asyncio.sleep(turn - now)
