"""What a node does about a request of the leading server, and what it answers.

::

    request ──▶ journal of this host, running release ──▶ respond() ──▶ begin the upgrade, or answer with its step

The journal outlives the restart into the new release, and a power cut; so does the answer, which is on the Node. An
answer that says of this request that something was begun makes an end in the journal the end of this request. Without
one, an end in the journal belongs to an earlier attempt, and the upgrade is begun again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from rke2.errors import RKE2Error, explained
from rke2.kube.client import Client
from rke2.kube.informer import Informer
from rke2.kube.persistence import SURVIVED, Outage
from rke2.kube.resources import NODES
from rke2.lifecycle.service import Up
from rke2.release_version import ReleaseVersion
from rke2.rollout.names import ANSWER
from rke2.rollout.node_request import (
    DONE,
    ENDED,
    FAILED,
    ROLLED_BACK,
    STAGED,
    UpgradeAnswer,
    UpgradeRequest,
    as_text,
    read_answer,
    read_request,
)

log = logging.getLogger(__name__)

AT_WORK, IDLE = 2.0, 60.0
"""Seconds between two looks at the journal."""
_STEPS = {"keeping": "switching", "rolling-back": "switching"}
"""Steps of the journal that are told as another one."""


class JournalEntry(Protocol):
    """How far this host is, as it wrote it down."""

    @property
    def version(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def since(self) -> float: ...


@dataclass(frozen=True)
class Response:
    """What follows from a request.

    Args:
        answer: None if there is nothing new to say.
    """

    answer: UpgradeAnswer | None = None
    begin: bool = False


def respond(
    request: UpgradeRequest | None,
    answer: UpgradeAnswer | None,
    journal: JournalEntry | None,
    running: str,
    now: datetime,
) -> Response:
    """What to do about `request`. Pure.

    Args:
        answer: the last one; it may be to an earlier request.
        running: the release of this process.
    """
    if request is None:
        return Response()
    said = answer if answer and answer.hash == request.hash else None
    if ReleaseVersion.parse(request.version) is None:
        return _told(request, said, FAILED, now, f"{request.version!r} is not the version of a release")
    mine = journal if journal and journal.version == request.version else None
    if mine and mine.step not in ENDED:
        if mine.step == STAGED and not request.stage:
            return Response(begin=True)
        return _told(request, said, _STEPS.get(mine.step, mine.step), now, mine.reason)
    if running == request.version:
        return _told(request, said, DONE, now)
    if said and said.step in (FAILED, ROLLED_BACK):
        return Response()
    if said and said.step != STAGED and mine and mine.step in (FAILED, ROLLED_BACK):
        return _told(request, said, mine.step, now, mine.reason)
    return Response(begin=not (said and said.step == STAGED and request.stage))


def _told(
    request: UpgradeRequest, said: UpgradeAnswer | None, step: str, now: datetime, reason: str = ""
) -> Response:
    if said and (said.step, said.reason) == (step, reason):
        return Response()
    return Response(_answer(request, step, now, reason))


def _answer(request: UpgradeRequest, step: str, now: datetime, reason: str = "") -> UpgradeAnswer:
    return UpgradeAnswer(request.version, request.hash, step, reason, now.isoformat(timespec="seconds"))


Begin = Callable[[UpgradeRequest], Awaitable[None]]
"""Begins the upgrade; returns when there is nothing more to do before the node ends. Raises RKE2Error or OSError."""


class NodeUpgrades:
    """Follows the own Node.

    Args:
        client: may watch and annotate the own Node.
        running: the release of this process.
    """

    name = "upgrades by plans"

    def __init__(
        self,
        client: Client,
        node: str,
        begin: Begin,
        journal: Callable[[], JournalEntry | None],
        running: str,
    ) -> None:
        self._client, self._node = client, node
        self._begin, self._journal, self._running = begin, journal, running
        self._own = Informer(client, NODES, field_selector=f"metadata.name={node}")
        self._changed = asyncio.Event()
        self._at_work = False

    async def run(self, up: Up) -> None:
        """Do what is asked, until cancelled."""
        self._own.listen(lambda change: self._changed.set())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._own.run(), name="watch of the own node")
            await self._own.synced()
            up()
            outage = Outage("upgrades by plans")
            while True:
                self._changed.clear()
                try:
                    await self._look(tasks)
                    outage.over()
                except SURVIVED as error:
                    outage.failed(error)
                await self._pause()

    async def _pause(self) -> None:
        journal = self._journal()
        unended = self._at_work or (journal is not None and journal.step not in ENDED)
        try:
            async with asyncio.timeout(AT_WORK if unended else IDLE):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        # Asked, not taken from the copy of the watch: on one that is behind, what has just failed would begin again.
        node = await self._client.get(NODES, self._node)
        request, answer = read_request(node), read_answer(node)
        response = respond(request, answer, self._journal(), self._running, datetime.now(UTC))
        if request and response.begin and not self._at_work:
            # Told first: by this answer an end in the journal is known to belong to this request.
            await self._say(_answer(request, "staging" if request.stage else "switching", datetime.now(UTC)))
            self._at_work = True
            tasks.create_task(self._work(request), name=f"upgrade to {request.version}")
        elif response.answer:
            await self._say(response.answer)

    async def _work(self, request: UpgradeRequest) -> None:
        what = "staged" if request.stage else "upgraded"
        log.info("%s asks for this node to be %s: %s", request.plan or "the cluster", what, request.version)
        try:
            await self._begin(request)
        except (RKE2Error, OSError) as error:
            fault = explained(error, "the journal of the upgrade cannot be written")
            log.warning("the node is not %s to %s: %s", what, request.version, fault)
            await self._refused(request, fault)
        finally:
            self._at_work = False
            self._changed.set()

    async def _refused(self, request: UpgradeRequest, error: RKE2Error) -> None:
        """Told here: what is refused before anything is begun is not in the journal."""
        try:
            await self._say(_answer(request, FAILED, datetime.now(UTC), str(error)))
        except SURVIVED as unreachable:
            log.warning("what became of the upgrade cannot be told: %s", unreachable)

    async def _say(self, answer: UpgradeAnswer) -> None:
        note = {"metadata": {"annotations": {ANSWER: as_text(answer)}}}
        await self._client.patch(NODES, self._node, note)
