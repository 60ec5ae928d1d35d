"""The Secret of this server's own node password: a server signs for its own kubelet, so nobody else would make it.

Without it whoever held a token could take the server's name. It is made at every start, before the supervisor issues
certificates to kubelets, and again when somebody has deleted it. One with another password is left alone and told of:
either another machine goes by this name, or this one was reinstalled.

While this server has no Node its Secret is not made again: deleting the Node is how an operator gives the name to
another machine, and the Secret goes with it. The next start, or the kubelet when it registers, brings both back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from rke2.config.model import NodeConfig
from rke2.errors import KubeError, PKIError
from rke2.join.credentials import ensure_node_password
from rke2.join.node_password import secret_name
from rke2.kube.backoff import Backoff
from rke2.kube.informer import Change
from rke2.kube.objects import metadata
from rke2.kube.persistence import Outage
from rke2.supervisor.core import NAMESPACE, Core, CoreSlot
from rke2.supervisor.password_secrets import (
    FAILED,
    Verifier,
    WrongPasswordError,
    compare,
    is_final,
    store,
    stored,
)

log = logging.getLogger(__name__)

ABOUT = "node password"
LOOK_AGAIN_SECONDS = 60.0

Tell = Callable[[str, str], None]
"""Shows the operator what is wrong with something until it is told again with no words."""


class OwnPassword:
    """Keeps the Secret.

    Args:
        tell: where ``rke2 status`` learns of a Secret that is another machine's, or cannot be made.
    """

    def __init__(self, config: NodeConfig, verifier: Verifier, tell: Tell) -> None:
        self._config, self._verifier, self._tell = config, verifier, tell
        self._node = config.node.name
        self._decided = False
        self._told = ""

    @property
    def decided(self) -> bool:
        """Whether the Secret was seen to, well or not, since the process started; see `NodePasswords.identify`."""
        return self._decided

    async def run(self, slot: CoreSlot) -> None:
        """Keep the Secret until cancelled, with each core that `slot` gets."""
        while True:
            await self._keep_with(await slot.wait(), slot)

    async def _keep_with(self, core: Core, slot: CoreSlot) -> None:
        changed = asyncio.Event()
        # Nothing to take back: the informers, and with them these listeners, go with the core.
        core.passwords.listen(lambda change: changed.set() if self._concerns(change) else None)
        core.nodes.listen(lambda change: changed.set() if self._appeared(change) else None)
        while slot.current is core:
            if not self._decided or self._has_node(core):
                await self._keep(core, slot)
            # The next core is idle until this server's own password is decided.
            if slot.current is not core:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_AGAIN_SECONDS)
            # Between the wait and the next look, with no await: a change
            # during `_keep` has it look once more.
            changed.clear()

    def _has_node(self, core: Core) -> bool:
        node = core.node(self._node)
        return node is not None and not metadata(node).get("deletionTimestamp")

    def _concerns(self, change: Change) -> bool:
        return change.key == (NAMESPACE, secret_name(self._node))

    def _appeared(self, change: Change) -> bool:
        return change.key.name == self._node and change.old is None

    async def _keep(self, core: Core, slot: CoreSlot) -> None:
        """Compare or make the Secret, however often it takes while `core` answers."""
        outage, pause = Outage("storing this server's own node password"), Backoff(0.1, 5.0)
        while slot.current is core:
            try:
                await self._ensure(core)
            except KubeError as error:
                if is_final(error):
                    self._decide(core, self._refused(error))
                    return
                outage.failed(error)
            except (OSError, ValueError, PKIError) as error:
                # Tried again, while other nodes wait: without the password
                # nobody can tell whose the name of this server is.
                self._complain(core, f"this server's own node password cannot be read: {error}")
            except WrongPasswordError:
                self._decide(core, self._mismatch())
                return
            else:
                outage.over()
                self._decide(core, "")
                return
            await pause.sleep()

    def _decide(self, core: Core, complaint: str) -> None:
        if complaint:
            self._complain(core, complaint)
        else:
            self._well()
        # Whatever was found: a Secret that is not this server's must not keep all other nodes waiting.
        self._decided = True

    async def _ensure(self, core: Core) -> None:
        password = await asyncio.to_thread(ensure_node_password, self._config.paths)
        # Looked at before it is made: one with another password is another machine's, or this one's before it
        # was reinstalled, and stays.
        secret = await stored(core, self._node)
        if secret is not None:
            await compare(secret, password, self._verifier)
            return
        text = await self._verifier.hash(password)
        await store(core, self._node, password, text, self._verifier)
        log.info(
            "The node password of this server is stored as Secret %s/%s", NAMESPACE, secret_name(self._node)
        )

    def _mismatch(self) -> str:
        name = secret_name(self._node)
        return (
            f"Secret {NAMESPACE}/{name} has another password than /etc/rancher/node/password: another machine has the "
            "name of this server, or this one was reinstalled. If it was, run "
            f"`kubectl --namespace {NAMESPACE} delete secret {name}`; else give one of the two another node-name"
        )

    def _refused(self, error: KubeError) -> str:
        return (
            f"Secret {NAMESPACE}/{secret_name(self._node)} cannot be made: {error.message}. Until it is there, only "
            "the Node keeps the name of this server from another machine: let webhooks and admission policies pass it"
        )

    def _complain(self, core: Core, words: str) -> None:
        if words == self._told:
            return
        self._told = words
        log.error("%s: %s", ABOUT, words)
        core.events.emit(core.node_reference(self._node), "Warning", FAILED, words)
        self._tell(ABOUT, words)

    def _well(self) -> None:
        if self._told:
            log.info("%s: the Secret is this server's again", ABOUT)
            self._told = ""
            self._tell(ABOUT, "")
