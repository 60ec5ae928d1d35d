"""Writes every Secret again, so that it is encrypted with the key that is the first one now.

An empty patch is enough: the API server sees that what etcd has was encrypted with another key, and stores it again.
So no Secret's content comes here, and nobody's change is overwritten. (RKE2 sends every Secret back as it read it.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from rke2.errors import KubeError
from rke2.host.parallel import for_each
from rke2.kube.backoff import Backoff
from rke2.kube.client import Client
from rke2.kube.objects import Object, key_of
from rke2.kube.resources import SECRETS
from rke2.supervisor.encryption.pace import MOST, Pace

PROGRESS = 50
"""Secrets from one report to the next."""
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""Answers that need no second try: it was deleted, or somebody else has written it meanwhile, with the same key."""
PATIENCE = 60.0
"""Seconds for which an API server may be away, or too busy, as when it is started again: no order need end for that."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


async def rewrite(client: Client, report: Callable[[int], None], *, patience: float = PATIENCE) -> int:
    """Have all Secrets stored again.

    Args:
        report: gets how many are done, at each `PROGRESS`.
        patience: seconds for which one Secret is tried again while the API server is away, busy, or cannot reach etcd.

    Returns:
        How many there are.

    Raises:
        KubeError: the API server refuses one, or does not answer; those before are done.
    """
    found = (await client.list(SECRETS, metadata_only=True)).items
    pace, done = Pace(), 0

    async def store(secret: Object) -> None:
        nonlocal done
        await _until_stored(client, secret, pace, patience)
        done += 1
        if done % PROGRESS == 0:
            report(done)

    await for_each(found, store, at_once=MOST)
    return done


async def _until_stored(client: Client, secret: Object, pace: Pace, patience: float) -> None:
    give_up, pauses = time.monotonic() + patience, Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        try:
            # The pauses are outside: an API server that comes back is asked by few.
            async with pace.turn():
                return await _store_again(client, secret)
        except KubeError as error:
            if not _may_pass(error) or time.monotonic() > give_up:
                raise
        await pauses.sleep()


def _may_pass(error: KubeError) -> bool:
    """Whether it is of the API server, or etcd behind it, and not of the Secret (a 500 may be either)."""
    return (
        error.status in (0, HTTPStatus.TOO_MANY_REQUESTS) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    )


async def _store_again(client: Client, secret: Object) -> None:
    namespace, name = key_of(secret)
    try:
        await client.patch(SECRETS, name, {}, namespace=namespace, metadata_only=True)
    except KubeError as error:
        if error.status not in _GONE:
            raise
