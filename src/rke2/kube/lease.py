"""Leader election on a coordination.k8s.io Lease, by the rules of client-go.

A holder is believed dead when its lease object has not changed for a lease duration *on our own clock*; clocks
of different nodes are never compared. Losing the lease stops the work and starts a new candidacy; it never ends
the process (upstream exits).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.duration import parse_duration
from rke2.kube.objects import Object
from rke2.kube.persistence import Outage
from rke2.kube.resources import LEASES
from rke2.kube.timestamps import now_micros

log = logging.getLogger(__name__)
RELEASE_SECONDS = 2.0


@dataclass(frozen=True)
class LeaseTiming:
    """Seconds: how long a lease lasts, how long to try to renew it, and between two tries."""

    # Upstream's values, so that servers of both kinds judge each other by the same time.
    lease: float = 45.0
    renew_deadline: float = 30.0
    retry: float = 2.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> LeaseTiming:
        """The defaults, changed by the variables upstream has.

        Raises:
            ValueError: a variable is no Go duration.
        """
        if environment.get("CATTLE_DEV_MODE"):
            return cls(lease=45 * 3600.0, renew_deadline=30 * 3600.0)
        names = {
            "lease": "CATTLE_ELECTION_LEASE_DURATION",
            "renew_deadline": "CATTLE_ELECTION_RENEW_DEADLINE",
            "retry": "CATTLE_ELECTION_RETRY_PERIOD",
        }
        given = {field: environment.get(name) for field, name in names.items()}
        return cls(**{field: _seconds(names[field], text) for field, text in given.items() if text})


def _seconds(name: str, text: str) -> float:
    try:
        seconds: Fraction = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return float(seconds)


class Election:
    """One candidate for one lease.

    Args:
        name: of the Lease in `namespace`.
        identity: of this candidate; a restarted process with the same identity takes its own lease over at once.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        identity: str,
        *,
        namespace: str = "kube-system",
        timing: LeaseTiming | None = None,
    ) -> None:
        self._client = client
        self._name, self._namespace, self._identity = name, namespace, identity
        self._timing = timing or LeaseTiming()
        self._seen: Object | None = None
        self._seen_at = 0.0
        self._written_at = 0.0

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Compete for the lease until cancelled; while it is held, run `work` (cancelled when it is lost)."""
        try:
            while True:
                await self._acquire()
                log.info("lease %s: held by this node (%s)", self._name, self._identity)
                await self._lead(work)
                log.warning("lease %s: lost; competing for it again", self._name)
        finally:
            # `_lead` has waited for the work by now: another server may begin the moment it sees this.
            await self._release()

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(_call(work), name=f"leader {self._name}")
            await self._renew_until_lost()
            # The group waits for the work to end, so that a new candidacy never begins beside old work.
            working.cancel()

    async def _acquire(self) -> None:
        outage = Outage(f"lease {self._name}")
        while True:
            try:
                if await self._try():
                    return
                outage.over()
            except KubeError as error:
                outage.failed(error)
            await asyncio.sleep(self._timing.retry)

    async def _renew_until_lost(self) -> None:
        """Return when another candidate holds the lease, or might soon.

        Others take it when they have seen no write for the lease's duration. The work must have ended by then, so the
        deadline counts from when the last write was sent, not from when its answer came, and a request without an
        answer does not extend it (client-go's RenewDeadline).
        """
        outage = Outage(f"lease {self._name}")
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout_at(self._written_at + self._timing.renew_deadline):
                    await asyncio.sleep(self._timing.retry)
                    if not await self._renew(outage):
                        return

    async def _renew(self, outage: Outage) -> bool:
        """Try once; False if another candidate holds the lease."""
        try:
            # Half of the time: a request that hangs leaves enough for one on another connection.
            async with asyncio.timeout(self._timing.renew_deadline / 2):
                held = await self._try()
        except KubeError as error:
            outage.failed(error)
            return True
        except TimeoutError:
            outage.failed(KubeError("renewing took too long", reason="Unreachable"))
            return True
        outage.over()
        return held

    async def _try(self) -> bool:
        """Create, take over or renew the lease; False if another candidate holds it."""
        # A holder need not read before it writes: if anyone else wrote, its resourceVersion is stale, and that is 409.
        lease = self._seen if self._holds() else await self._look()
        if lease is not None and not self._may_take(lease):
            return False
        sent = _now()
        try:
            if lease is None:
                self._note(await self._client.create(LEASES, self._fresh()))
            else:
                self._note(await self._client.update(LEASES, self._renewed(lease)))
        except KubeError as error:
            if error.status != 409:
                raise
            # Somebody wrote it meanwhile; a holder looks again before it gives up.
            lease = await self._look()
            return lease is not None and self._holds() and await self._try()
        # When it was sent, not answered: others may count from the moment it was written.
        self._written_at = sent
        return True

    async def _look(self) -> Object | None:
        lease = await self._client.find(LEASES, self._name, self._namespace)
        if lease is None:
            self._seen = None
        elif self._seen is None or lease["spec"] != self._seen["spec"]:
            # Only a holder's write starts the clock again, not a label or an annotation on the Lease.
            self._note(lease)
        else:
            self._seen = lease
        return lease

    def _note(self, lease: Object) -> None:
        self._seen, self._seen_at = lease, _now()

    def _holds(self) -> bool:
        return self._seen is not None and self._seen["spec"].get("holderIdentity") == self._identity

    def _may_take(self, lease: Object) -> bool:
        holder = lease["spec"].get("holderIdentity")
        duration = lease["spec"].get("leaseDurationSeconds") or self._timing.lease
        # By the duration its holder wrote and by when we saw it change: renewTime is another machine's clock.
        return holder in ("", None, self._identity) or _now() - self._seen_at > float(duration)

    def _fresh(self) -> Object:
        return {
            "apiVersion": LEASES.gvk.api_version,
            "kind": LEASES.gvk.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(transitions=0, acquired=now_micros()),
        }

    def _renewed(self, lease: Object) -> Object:
        old = lease["spec"]
        transitions = int(old.get("leaseTransitions") or 0)
        if old.get("holderIdentity") == self._identity:
            return {**lease, "spec": self._spec(transitions, old.get("acquireTime") or now_micros())}
        return {**lease, "spec": self._spec(transitions + 1, now_micros())}

    def _spec(self, transitions: int, acquired: str) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._timing.lease)),
            "acquireTime": acquired,
            "renewTime": now_micros(),
            "leaseTransitions": transitions,
        }

    async def _release(self) -> None:
        """Let another server take over at once instead of after the lease duration."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._give_up()
        except (KubeError, TimeoutError) as error:
            log.debug("lease %s: not released: %s", self._name, error)
        self._seen = None

    async def _give_up(self) -> None:
        while self._seen is not None and self._holds():
            # A second, as client-go does: who looks at the duration alone does not wait for the old one.
            spec = {**self._seen["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            try:
                await self._client.update(LEASES, {**self._seen, "spec": spec})
                return
            except KubeError as error:
                # A renewal that was cancelled on its way may have arrived all the same.
                if error.status != 409:
                    raise
            self._seen = await self._client.find(LEASES, self._name, self._namespace)


async def _call(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _now() -> float:
    """Seconds; the loop's clock, as `asyncio.timeout` is measured with it too."""
    return asyncio.get_running_loop().time()
