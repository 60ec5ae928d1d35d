"""Carries out what was asked of ``rke2 secrets-encrypt``, one request after the other.

::

    request ──▶ decide (stages) ──▶ order ──▶ run: step, step, … ──▶ answer, before or behind the last step

A request that was taken is carried out even if who asked has gone meanwhile. Its steps leave keys and stage in etcd
and on disk; the rest of an order that was cut off by a kill is what `stages.decide` finds for the stage it left.
Nothing here, or in a message, shows a key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.errors import PKIError, RKE2Error
from rke2.join.shared import SharedKeys
from rke2.kube.nodes import ENCRYPTION_HASH
from rke2.kube.objects import annotations_of
from rke2.kube.resources import NODES
from rke2.lifecycle.waiting import until
from rke2.pki.encryption import CONFIG, FIRST_STAGE, encryption_state, stored_state
from rke2.pki.encryption_config import EncryptionConfig, EncryptionKey
from rke2.pki.pem import read_file
from rke2.supervisor.core import Core, CoreSlot
from rke2.supervisor.encryption import agreement, apiservers, stages
from rke2.supervisor.encryption.rewriting import rewrite
from rke2.supervisor.encryption.stages import RotationStep, Situation, Stage, Verb

log = logging.getLogger(__name__)

AGREEMENT_SECONDS = 10.0
"""How long servers may take to tell of keys that were changed just before."""
_POLL = 0.5
TELL_SECONDS = 2.0
"""Limit of the wait for the Node's annotation to come back from the API server."""
_TELL_POLL = 0.02
_STEPS_OF_A_ROTATION = (Verb.PREPARE, Verb.ROTATE, Verb.REENCRYPT, Verb.ROTATE_KEYS)


@dataclass
class _Order:
    """A request that was taken.

    Args:
        steps: what is left to do.
        answered_after: how many of them the answer waits for.
        away: servers that were not seen to go by the newest keys.
    """

    steps: Sequence[RotationStep]
    answered_after: int
    answer: asyncio.Future[None]
    away: set[str] = field(default_factory=set)


class Rotation:
    """The keys of this server, and with them those of all others.

    Args:
        core: empty until the Kubernetes API answers.
        shared: brings keys to the other servers.
    """

    def __init__(self, config: NodeConfig, core: CoreSlot, shared: SharedKeys) -> None:
        self._config, self._core, self._shared = config, core, shared
        self._orders: asyncio.Queue[_Order] = asyncio.Queue()
        self._busy = False
        self._active = False
        shared.listen(self._tell_stage)
        self._do: Mapping[RotationStep, Callable[[Core, _Order], Awaitable[None]]] = {
            RotationStep.ADD: self._add,
            RotationStep.KNOWN: self._wait,
            RotationStep.PROMOTE: self._promote,
            RotationStep.ACTIVE: self._activate,
            RotationStep.REWRITE: self._rewrite,
            RotationStep.RETIRE: self._retire,
            RotationStep.ENABLE: self._enable,
            RotationStep.DISABLE: self._disable,
        }

    async def request(self, verb: Verb, *, force: bool = False, skip: bool = False) -> None:
        """Do what `verb` stands for; some of it goes on behind the answer (`stages.ANSWERED_AFTER`).

        Raises:
            PKIError: it cannot be done now, or a step has failed; repeating it goes on there.
            RKE2Error: etcd or the API server refused something.
        """
        core = self._core.current
        if core is None:
            raise PKIError("runtime core not ready")
        name = self._config.node.name
        if self._busy:
            raise PKIError(f"a rotation is under way on node {name}", "see `rke2 secrets-encrypt status`")
        # No await since the look: of two requests at the same time one is refused.
        self._busy = True
        try:
            order = await self._order(core, verb, force=force, skip=skip)
        except BaseException:
            # There is no order, so `run` will not do this.
            self._busy = False
            raise
        self._orders.put_nowait(order)
        # Who asked may go away, or run into a limit: that must not cancel what `run` is going to set.
        await asyncio.shield(order.answer)

    async def _order(self, core: Core, verb: Verb, *, force: bool, skip: bool) -> _Order:
        name = self._config.node.name
        if not self._config.runs_apiserver:
            raise PKIError(f"cannot manage secrets encryption on non control-plane node {name}")
        nodes = core.nodes.objects
        if verb in _STEPS_OF_A_ROTATION and not force:
            await self._agreed(core)
        if verb is Verb.ROTATE_KEYS:
            agreement.require_rotate_keys(nodes.values())
        situation = Situation(
            EncryptionConfig.parse(await self._content()),
            self._stage(),
            self._config.server.secrets_encryption_provider if self._config.server else "",
            alone=len(agreement.servers(nodes.values())) <= 1,
        )
        steps = stages.decide(verb, situation, name, force=force, skip=skip)
        after = stages.ANSWERED_AFTER.get(verb, len(steps))
        return _Order(steps, after, asyncio.get_running_loop().create_future())

    async def _agreed(self, core: Core) -> None:
        """Wait a moment for the other servers, which take new keys over within seconds."""
        give_up = asyncio.get_running_loop().time() + AGREEMENT_SECONDS
        while True:
            try:
                content = await self._content()
                agreement.require_agreement(content, core.nodes.objects.values(), self._config.node.name)
                return
            except PKIError:
                if asyncio.get_running_loop().time() > give_up:
                    raise
            await asyncio.sleep(_POLL)

    # --- orders ------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Carry out what was asked for, until cancelled."""
        while True:
            order = await self._orders.get()
            try:
                await self._carry_out(order)
            finally:
                self._busy = self._active = False
                if not order.answer.done():
                    order.answer.set_exception(PKIError("the server is stopping", "repeat it then"))

    async def _carry_out(self, order: _Order) -> None:
        try:
            for number, step in enumerate(order.steps):
                if number == order.answered_after:
                    order.answer.set_result(None)
                # For each step: the API server may have gone and come again
                # since the one before, with another client.
                core = await self._core.wait()
                await self._do[step](core, order)
        except (RKE2Error, OSError) as error:
            log.error("secrets encryption: step %r failed: %s", step.value, error)
            await self._give_up(order, error)
        else:
            await self._end()
            if not order.answer.done():
                order.answer.set_result(None)

    async def _give_up(self, order: _Order, error: Exception) -> None:
        core = self._core.current
        if self._active and core:
            self._event(core, "Warning", "SecretsUpdateError", f"failed to update secret: {error}")
        await self._end()
        if not order.answer.done():
            order.answer.set_exception(error)

    async def _end(self) -> None:
        self._active = False
        try:
            await self._tell_stage()
        except RKE2Error as error:
            # The order is answered all the same, and the next look of `SharedKeys.follow` tells the stage. If it
            # were told as a failure, the operator would rotate a second time.
            log.warning("%s", error)

    # --- steps -------------------------------------------------------------------------------------
    async def _add(self, core: Core, order: _Order) -> None:
        provider = self._provider()
        log.info("Adding secrets-encryption key of type %s", provider)
        key = EncryptionKey.new(provider, datetime.now().astimezone())
        await self._exchange(lambda config: config.add(provider, key), stages.STAGE_AFTER[RotationStep.ADD])

    async def _promote(self, core: Core, order: _Order) -> None:
        provider = self._provider()
        await self._exchange(
            lambda config: config.promote(provider), stages.STAGE_AFTER[RotationStep.PROMOTE]
        )
        log.info("Encryption %s keys right rotated", provider)

    async def _retire(self, core: Core, order: _Order) -> None:
        """The former keys stay while a server is away: it may come back with them, and write."""
        if order.away:
            names = ", ".join(sorted(order.away))
            log.warning(
                "the former keys stay, because these servers are away: %s; rotate again when they are back",
                names,
            )
            await self._exchange(lambda config: config, stages.STAGE_AFTER[RotationStep.RETIRE])
            return
        await self._exchange(EncryptionConfig.retire, stages.STAGE_AFTER[RotationStep.RETIRE])
        log.info("Removing the former secrets-encryption keys")

    async def _enable(self, core: Core, order: _Order) -> None:
        provider = self._provider()
        enabled = EncryptionConfig.parse(await self._content()).enabled
        log.info("Secrets encryption already enabled" if enabled else "Enabling secrets encryption")
        await self._exchange(
            lambda config: config if config.enabled else config.enable(provider), self._stage()
        )

    async def _disable(self, core: Core, order: _Order) -> None:
        enabled = EncryptionConfig.parse(await self._content()).enabled
        log.info("Disabling secrets encryption" if enabled else "Secrets encryption already disabled")
        await self._exchange(EncryptionConfig.disable, self._stage())

    async def _wait(self, core: Core, order: _Order) -> None:
        found = apiservers.apiservers(core.nodes.objects.values(), self._config.node.name)
        order.away = await apiservers.until_known(core.client, found, await self._content(), core.node)

    async def _activate(self, core: Core, order: _Order) -> None:
        self._active = True
        await self._tell_stage()

    async def _rewrite(self, core: Core, order: _Order) -> None:
        def progress(count: int, reason: str = "SecretsProgress") -> None:
            self._event(core, "Normal", reason, f"reencrypted {count} secrets")

        started = time.monotonic()
        count = await rewrite(core.client.named("secrets-reencrypt"), progress)
        progress(count, "SecretsUpdateComplete")
        log.info("reencrypted %d secrets in %.1f s", count, time.monotonic() - started)

    # --- what is stored ----------------------------------------------------------------------------
    async def _exchange(self, change: Callable[[EncryptionConfig], EncryptionConfig], stage: Stage) -> None:
        """Write the changed keys and their stage, here and in etcd."""
        # What was decided on: `SharedKeys.change` refuses if etcd has anything else by then.
        former = await self._content()
        config = EncryptionConfig.parse(former)
        # Keys that stay the same keep their bytes: API servers would go by others for up to a minute.
        content = former if (changed := change(config)) == config else changed.encode()
        state = encryption_state(stage, content).encode()
        await self._shared.change(
            {"EncryptionConfig": content, "EncryptionHash": state}, instead_of={"EncryptionConfig": former}
        )

    async def _content(self) -> bytes:
        content = await asyncio.to_thread(read_file, self._cred / CONFIG)
        if content is None:
            raise PKIError(f"{self._cred / CONFIG} is missing", "start the server again")
        return content

    def _stage(self) -> Stage:
        name = stored_state(self._cred).partition("-")[0] or FIRST_STAGE
        try:
            return Stage(name)
        except ValueError:
            raise PKIError(f"unknown stage {name} requested") from None

    @property
    def _cred(self) -> Path:
        return self._config.paths.cred

    def _provider(self) -> str:
        assert self._config.server is not None
        return self._config.server.secrets_encryption_provider

    # --- what is told ------------------------------------------------------------------------------
    async def _tell_stage(self) -> None:
        """Have the own Node say what the state file says, or that Secrets are being written again."""
        core, state = self._core.current, await asyncio.to_thread(stored_state, self._cred)
        if core is None or not state or not self._config.runs_apiserver:
            return
        if self._active:
            state = f"{Stage.REENCRYPT_ACTIVE}-{state.partition('-')[2]}"
        name = self._config.node.name

        async def missing() -> str:
            return "" if _told(core, name) == state else "the annotation"

        # A Node that is not there yet is no failure: `SharedKeys.follow` comes here at each of its looks.
        if core.node(name) is None or _told(core, name) == state:
            return
        await core.client.patch(NODES, name, {"metadata": {"annotations": {ENCRYPTION_HASH: state}}})
        # Who asks for the status after an answer is told of what was answered. (RKE2 pauses for a second.)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                await until(missing, interval=_TELL_POLL)

    def _event(self, core: Core, kind: str, reason: str, message: str) -> None:
        about = core.node_reference(self._config.node.name)
        core.reencryption.emit(about, "Warning" if kind == "Warning" else "Normal", reason, message)


def _told(core: Core, name: str) -> str:
    """What the Node `name` says of its keys, empty if nothing."""
    return annotations_of(core.node(name) or {}).get(ENCRYPTION_HASH, "")
