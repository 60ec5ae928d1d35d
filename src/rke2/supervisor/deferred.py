"""Node passwords that could not be verified when they were claimed, because the Kubernetes API could not be asked.

Mirrors the controllers reference §5 ("deferred verification queue"). The certificate is out already, so an entry is
never dropped for want of space: who finds no place is told to come again. A name has one entry, of the first who
claimed it. What the API answers ends an entry, whatever it answers; only that it cannot be asked does not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass

from rke2.errors import KubeError
from rke2.supervisor.claims import NodeClaim
from rke2.supervisor.core import Core, CoreSlot
from rke2.supervisor.password_secrets import (
    FAILED,
    Verifier,
    WrongPasswordError,
    compare,
    is_final,
    store,
    stored,
)
from rke2.supervisor.status import unavailable

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
MOST = 1024
MOST_OF_ONE_ADDRESS = 8
_DIFFERS = "Deferred node password secret validation failed"
_COMPLETE = "Deferred node password secret validation complete"


@dataclass
class _Entry:
    claim: NodeClaim
    text: str = ""
    """The hash of the password once it was needed: it is slow, and one attempt's does for the next."""


class Deferred:
    """Claims to be verified as soon as the API answers."""

    def __init__(self, verifier: Verifier, retry_seconds: float = RETRY_SECONDS) -> None:
        self._verifier, self._retry_seconds = verifier, retry_seconds
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, claim: NodeClaim) -> None:
        """Verify `claim` later.

        Raises:
            WrongPasswordError: the name waits already, with another password.
            StatusError: 503, too many wait.
        """
        earlier = self._entries.get(claim.node)
        if earlier is None:
            self._require_place(claim.address)
            self._entries[claim.node] = _Entry(claim)
        elif not earlier.claim.same_password(claim.password):
            raise WrongPasswordError

    def _require_place(self, address: str) -> None:
        of_address = Counter(entry.claim.address for entry in self._entries.values())[address]
        if len(self._entries) >= MOST or of_address >= MOST_OF_ONE_ADDRESS:
            raise unavailable("too many node passwords wait to be verified")

    async def run(self, slot: CoreSlot) -> None:
        """Verify what waits, until cancelled."""
        while True:
            core = await slot.wait()
            await self._verify_all(core)
            await asyncio.sleep(self._retry_seconds)

    async def _verify_all(self, core: Core) -> None:
        # A copy: requests add entries while the API server is being asked.
        for node, entry in list(self._entries.items()):
            if not await self._settled(core, entry):
                # It cannot be asked about the others either.
                return
            # Only now: as long as it is being verified, the name must not be claimed with another password.
            self._entries.pop(node, None)

    async def _settled(self, core: Core, entry: _Entry) -> bool:
        """Whether the entry has come to an end; False if the API cannot be asked now."""
        node = entry.claim.node
        about = core.node_reference(node)
        try:
            await self._verify(core, entry)
        except KubeError as error:
            if not is_final(error):
                log.debug("The password of node %s cannot be verified yet: %s", node, error)
                return False
            core.events.emit(about, "Warning", FAILED, f"{_DIFFERS}: {error}")
        except WrongPasswordError:
            core.events.emit(about, "Warning", FAILED, f"{_DIFFERS}: hash does not match")
        except Exception as error:
            # Whatever nobody has thought of ends this entry alone: left
            # in its place, it would stop all those behind it.
            log.exception("The password of node %s cannot be verified", node)
            core.events.emit(about, "Warning", FAILED, f"{_DIFFERS}: {type(error).__name__}")
        else:
            core.events.emit(about, "Normal", "NodePasswordValidationComplete", _COMPLETE)
        return True

    async def _verify(self, core: Core, entry: _Entry) -> None:
        """The node may have registered meanwhile, with the certificate it was given: no more proof is asked for."""
        node, password = entry.claim.node, entry.claim.password
        secret = await stored(core, node)
        if secret is not None:
            await compare(secret, password, self._verifier)
            return
        entry.text = entry.text or await self._verifier.hash(password)
        await store(core, node, password, entry.text, self._verifier)
