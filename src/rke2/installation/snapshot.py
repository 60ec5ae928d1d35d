"""A snapshot of etcd before an upgrade, taken by the server that runs here."""

from __future__ import annotations

import asyncio

import msgspec

from rke2.config.paths import Paths
from rke2.errors import EtcdError, HostError
from rke2.join.client import connect
from rke2.snapshots.request import SAVE, SnapshotAnswer, SnapshotRequest

SECONDS = 600.0
_URL = "https://127.0.0.1:9345"
_NAME = "pre-upgrade"


def take(paths: Paths) -> str:
    """Have one taken.

    Returns:
        Its name; empty if none is to be had: the member is a learner, and others have the data.

    Raises:
        JoinError: the server refuses, or does not answer.
        HostError: its token cannot be read.
        EtcdError: it was not taken.
    """
    try:
        token = paths.token.read_text().strip()
    except OSError as error:
        raise HostError.of(error, "the token of the server cannot be read") from error
    answer = msgspec.json.decode(asyncio.run(_ask(token)), type=SnapshotAnswer)
    if answer.errors and not answer.created:
        raise EtcdError(f"no snapshot was taken: {answer.errors[0]}")
    return next(iter(answer.created), "")


async def _ask(token: str) -> bytes:
    supervisor = await connect(_URL, token, "server")
    request = SnapshotRequest(SAVE, name=[_NAME], retention=0)
    return await supervisor.snapshot(request.encode(), SECONDS)
