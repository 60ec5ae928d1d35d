"""The owner of everything that lives as long as the node: no task of it ends without being noticed.

Services are begun in the order in which they can be, and stopped in reverse: what others rely on goes last. Each has
a policy for its end (`rke2.lifecycle.service`) and a state that `rke2 status` shows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from rke2.errors import RKE2Error, first_error
from rke2.lifecycle.clock import CLOCK, Clock
from rke2.lifecycle.progress import ServiceState, ServiceStatus
from rke2.lifecycle.restart import RestartBackoff
from rke2.lifecycle.service import EndedError, Job, NodeEnds, Policy, Service, reason_of

log = logging.getLogger(__name__)

LONGEST_PAUSE = 15.0
"""Seconds between the end of a service and its next start, at most."""

STOP_SECONDS = 25.0
"""A service that is still stopping then is left behind: the ones it relies on have to stop, too. Longer than what a
supervised program gets between SIGTERM and its end (`rke2.lifecycle.process`)."""

Report = Callable[[str, ServiceStatus], None]
"""Called with a service's name and what became of it, at each change; must not block."""


class _Running:
    """One service, its task and its state."""

    def __init__(self, service: Service, policy: Policy, backoff: RestartBackoff, *, lasting: bool) -> None:
        self.service, self.policy, self.backoff, self.lasting = service, policy, backoff, lasting
        self.status = ServiceStatus()
        self.settled = asyncio.Event()
        """Set when it is up, or will never be."""
        self.stopping = False
        self.task: asyncio.Task[None] | None = None
        self.interrupt: asyncio.Timeout | None = None
        """Around the current run; see `Services.restart`."""
        self.asked = ""
        self.told = ""
        """The reason that the log has already: it is not repeated at every attempt."""


class Services:
    """Begins services, keeps them by their policies, and stops them in reverse order.

    Args:
        report: gets every change of a service's state.
        clock: measures how long a service ran, and waits before it is started again.
        backoff: makes the pauses of one service.
    """

    def __init__(
        self,
        report: Report = lambda name, status: None,
        *,
        clock: Clock = CLOCK,
        backoff: Callable[[], RestartBackoff] = lambda: RestartBackoff(maximum=LONGEST_PAUSE),
    ) -> None:
        self._report, self._clock, self._backoff = report, clock, backoff
        self._order: list[_Running | tuple[str, Callable[[], Awaitable[None]]]] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- to begin ----------------------------------------------------------------------------------
    def begin(self, service: Service, policy: Policy) -> None:
        """Have `service` run from now on."""
        self._begin(service, policy, lasting=True)

    async def start(self, service: Service, policy: Policy) -> None:
        """The same; return when others may rely on it (or, under `Policy.DEGRADE`, when it stays away)."""
        await self._begin(service, policy, lasting=True).settled.wait()

    def keep(self, name: str, work: Callable[[], Awaitable[None]], policy: Policy) -> None:
        """Have `work` run from now on; that it returns is a failure."""
        self._begin(Job(name, work), policy, lasting=True)

    def once(self, name: str, work: Callable[[], Awaitable[None]], policy: Policy) -> None:
        """Have `work` done; it may return."""
        self._begin(Job(name, work), policy, lasting=False)

    def at_the_end(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        """Have `stop` called when what was begun after this has stopped."""
        self._order.append((name, stop))

    def restart(self, name: str, why: str) -> None:
        """Stop a service and start it again although it has not ended, if it runs now; under any policy."""
        for running in self._running():
            if running.service.name == name and running.interrupt and not running.asked:
                running.asked = why
                running.interrupt.reschedule(asyncio.get_running_loop().time())

    def _begin(self, service: Service, policy: Policy, *, lasting: bool) -> _Running:
        running = _Running(service, policy, self._backoff(), lasting=lasting)
        self._order.append(running)
        running.task = asyncio.create_task(self._keep(running), name=service.name)
        return running

    # --- to run and to stop ------------------------------------------------------------------------
    async def run(self, boot: Callable[[], Awaitable[None]]) -> None:
        """Do `boot`, which begins services; then go on until one of them ends the node, or until cancelled.

        Raises:
            ExceptionGroup: with the error of `boot`, or of the service. Everything is stopped then.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_failure(), name="services")
                group.create_task(_call(boot), name="boot")
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Stop everything, the youngest first; what fails to stop does not keep the rest from being stopped."""
        while self._order:
            each = self._order.pop()
            if isinstance(each, _Running):
                await self._stop(each)
            else:
                await _finish(*each)
        if self._failure.done():
            self._failure.exception()  # retrieved, whether or not somebody waits for it

    async def _stop(self, running: _Running) -> None:
        task = running.task
        assert task is not None
        running.stopping = True
        task.cancel()
        _, left = await asyncio.wait([task], timeout=STOP_SECONDS)
        if left:
            log.warning(
                "%s: still stopping after %.0f s; it is left behind", running.service.name, STOP_SECONDS
            )

    async def _until_failure(self) -> None:
        await asyncio.shield(self._failure)

    def statuses(self) -> Mapping[str, ServiceStatus]:
        """Every service's state, in the order of their start."""
        return {running.service.name: running.status for running in self._running()}

    def _running(self) -> list[_Running]:
        return [each for each in self._order if isinstance(each, _Running)]

    # --- one service -------------------------------------------------------------------------------
    async def _keep(self, running: _Running) -> None:
        """The life of a service: nothing but `stop` ends this without a state that tells of it."""
        while True:
            started = self._clock.now()
            error = await self._run_once(running)
            if error is None:
                return
            # What was asked for is no failure, whatever follows from one.
            to_restart = running.policy is Policy.RESTART or bool(running.asked)
            if not to_restart or isinstance(error, NodeEnds):
                self._give_up(running, error)
                return
            pause = running.backoff.after(self._clock.now() - started)
            self._failing(running, error, pause)
            await self._clock.sleep(pause)

    async def _run_once(self, running: _Running) -> BaseException | None:
        """Why it ended; None if it was to end."""
        running.asked = ""
        try:
            async with asyncio.timeout(None) as running.interrupt:
                await running.service.run(lambda: self._up(running))
        except asyncio.CancelledError:
            if running.stopping:
                self._say(running, "stopped")
                raise
            return EndedError(f"{running.service.name} was cancelled by itself")
        except Exception as error:  # noqa: BLE001 - whatever it is: the policy decides what follows
            return EndedError(running.asked) if running.asked else _decisive(error)
        finally:
            running.interrupt = None
        if running.lasting:
            return EndedError(f"{running.service.name} ended although nobody told it to")
        self._say(running, "done")
        running.settled.set()
        return None

    def _up(self, running: _Running) -> None:
        self._say(running, "running")
        running.settled.set()

    def _failing(self, running: _Running, error: BaseException, pause: float) -> None:
        name, reason = running.service.name, reason_of(error)
        level = logging.DEBUG if reason == running.told else logging.ERROR
        log.log(level, "%s: %s; starting it again in %.1f s", name, reason, pause, exc_info=_unknown(error))
        running.told = reason
        self._say(running, "failing", error)

    def _give_up(self, running: _Running, error: BaseException) -> None:
        name, consequence = running.service.name, running.policy.value
        if not isinstance(error, NodeEnds):
            log.error("%s: %s; %s", name, reason_of(error), consequence, exc_info=_unknown(error))
        self._say(running, "failed", error)
        if running.policy is Policy.DEGRADE and not isinstance(error, NodeEnds):
            running.settled.set()
        elif not self._failure.done():
            self._failure.set_exception(error)

    def _say(self, running: _Running, state: ServiceState, error: BaseException | None = None) -> None:
        failures = running.status.failures + (error is not None)
        running.status = ServiceStatus(state, failures, reason_of(error) if error else "")
        self._report(running.service.name, running.status)


async def _call(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _finish(name: str, stop: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await stop()
    except Exception:  # the rest has to be stopped all the same
        log.exception("%s: stopping failed", name)


def _decisive(error: BaseException) -> BaseException:
    """The error that ends the node if there is one in the group, else `error`."""
    if isinstance(error, BaseExceptionGroup) and (deliberate := error.subgroup(NodeEnds)):
        return _decisive(deliberate.exceptions[0])
    return error


def _unknown(error: BaseException) -> BaseException | None:
    """With its traceback only what is not explained by a message of ours."""
    return None if isinstance(first_error(error), RKE2Error) else first_error(error)
