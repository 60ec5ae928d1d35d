"""Node passwords: the node that registered first under a name keeps it.

Mirrors the supervisor reference §4.2 and §4.3 and the controllers reference §5 (request side). Who holds the cluster's
token may register any node, but not one that is there already: its password is in a Secret, as a slow hash.

Stricter than RKE2 where a name would go to whoever asks first (ADR 0027):

- A Node without a Secret is answered to the machine that presents the Node's own certificate, and to no other.
- While the API cannot be asked, only names that were never seen are answered before they are verified.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from rke2.config.model import NodeConfig
from rke2.datastore.requests import KeyRequests
from rke2.errors import EtcdError, KubeError, PKIError
from rke2.join.node_password import secret_name
from rke2.kube.resources import NODES
from rke2.pki.pem import read_file
from rke2.supervisor.calls import Call
from rke2.supervisor.claims import NodeClaim, claim_of
from rke2.supervisor.core import NAMESPACE, Core, CoreSlot
from rke2.supervisor.deferred import RETRY_SECONDS, Deferred
from rke2.supervisor.own_password import OwnPassword, Tell
from rke2.supervisor.password_secrets import (
    Verifier,
    WrongPasswordError,
    compare,
    is_final,
    store,
    stored,
)
from rke2.supervisor.status import StatusError, internal, not_authorized, unavailable

log = logging.getLogger(__name__)

_REGISTRY = "/registry"
"""Where API servers keep their objects in etcd unless ``--etcd-prefix`` says otherwise."""


class UnprovenError(Exception):
    """The node is there, its Secret is not, and nothing shows that the request is the node's."""


class NodePasswords:
    """Decides whether a request comes from the node it says it comes from.

    Args:
        etcd: the own member; None on a server without one.
        tell: shows the operator what is wrong with this server's own Secret.
    """

    def __init__(
        self,
        config: NodeConfig,
        core: CoreSlot,
        etcd: KeyRequests | None = None,
        tell: Tell = lambda about, words: None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._config, self._core, self._etcd = config, core, etcd
        self._verifier = Verifier()
        self._deferred = Deferred(self._verifier, retry_seconds)
        self._own = OwnPassword(config, self._verifier, tell)

    @property
    def ready(self) -> bool:
        """Whether other machines are answered: this server's own Secret was seen to, which comes first."""
        return self._core.current is not None and self._own.decided

    async def keep_own(self) -> None:
        """Keep this server's own Secret, until cancelled."""
        await self._own.run(self._core)

    async def verify_deferred(self) -> None:
        """Verify, until cancelled, what could not be verified when it was asked for."""
        await self._deferred.run(self._core)

    async def identify(self, call: Call) -> str:
        """The name of the node that `call` is from.

        Raises:
            StatusError: as the reference's validation order says.
        """
        claim = claim_of(call)
        core = self._core.current
        if core is None or not self.ready:
            await self._before_the_core(claim)
        # As in RKE2 (supervisor reference §4.2): 401 makes the agent ask again with its token.
        elif claim.authenticated and core.node(claim.node) is None:
            raise not_authorized()
        else:
            await self._with_core(core, claim)
        return claim.node

    # --- without the API ---------------------------------------------------------------------------
    async def _before_the_core(self, claim: NodeClaim) -> None:
        """Until the API answers, and this server's own name is seen to, which must not go to anybody else."""
        if self._is_own(claim) and claim.from_this_machine:
            await asyncio.to_thread(self._compare_own, claim)
        # A certificate that is handed out cannot be taken back: as in RKE2 (supervisor reference §4.2) only a
        # server without an API server of its own goes on, and here for names alone that nobody has seen.
        elif self._is_own(claim) or self._core.current or self._config.runs_apiserver or claim.authenticated:
            raise unavailable("runtime core not ready")
        elif await self._in_etcd(claim.node):
            raise _known(claim)
        else:
            self._defer(claim)

    def _compare_own(self, claim: NodeClaim) -> None:
        path = self._config.paths.node_config_dir / "password"
        try:
            own = read_file(path)
        except PKIError as error:
            raise internal("node-password", error) from error
        if own is None:
            raise internal("node-password", FileNotFoundError(path))
        if not claim.same_password(own.decode(errors="surrogateescape").strip()):
            raise _rejected(claim)

    async def _in_etcd(self, node: str) -> bool:
        """Whether etcd has a Node or a Secret of that name, which can be told without an API server.

        Raises:
            StatusError: 503, it cannot.
        """
        if self._etcd is None:
            raise unavailable("runtime core not ready")
        # In etcd Nodes still have their first name.
        keys = (f"/minions/{node}", f"/secrets/{NAMESPACE}/{secret_name(node)}")
        try:
            for key in keys:
                if await self._etcd.get(_REGISTRY + key) is not None:
                    return True
            return False
        except EtcdError as error:
            log.debug("Whether node %s is known cannot be read from etcd: %s", node, error)
            raise unavailable("runtime core not ready") from error

    # --- with it -----------------------------------------------------------------------------------
    async def _with_core(self, core: Core, claim: NodeClaim) -> None:
        try:
            await self._verify(core, claim)
        except WrongPasswordError:
            raise _rejected(claim) from None
        except UnprovenError:
            log.warning(
                "%s asks for certificates of node %s, which has no node password, without the node's certificate",
                claim.address,
                claim.node,
            )
            raise _unproven(claim) from None
        except KubeError as error:
            await self._not_verified(core, claim, error)

    async def _verify(self, core: Core, claim: NodeClaim) -> None:
        """Compare with the node's Secret, or make it for a node that may have it.

        The Node is read from the API, not from the cache: neither must one that was deleted a moment ago refuse its
        successor, nor one that registered elsewhere a moment ago be given away.
        """
        if self._is_own(claim):
            # Whatever password somebody has put into its Secret: this server's name goes with the one on its disk.
            await asyncio.to_thread(self._compare_own, claim)
        secret = await stored(core, claim.node)
        if secret is not None:
            await compare(secret, claim.password, self._verifier)
            return
        if not self._proven(claim) and await core.client.find(NODES, claim.node) is not None:
            raise UnprovenError
        # Hashed only now, for one who may have the name: it takes a tenth of a second of a CPU.
        await store(
            core, claim.node, claim.password, await self._verifier.hash(claim.password), self._verifier
        )

    def _proven(self, claim: NodeClaim) -> bool:
        return claim.certified or (self._is_own(claim) and claim.from_this_machine)

    def _is_own(self, claim: NodeClaim) -> bool:
        return claim.node == self._config.node.name

    async def _not_verified(self, core: Core, claim: NodeClaim, error: KubeError) -> None:
        if is_final(error):
            # RKE2 hands the certificate out and repeats what is refused
            # each time: the name stays open to others then.
            raise internal("node-password", error)
        log.warning("The password of node %s cannot be verified now: %s", claim.node, error)
        if await self._seen(core, claim.node):
            raise _known(claim)
        self._defer(claim)

    async def _seen(self, core: Core, node: str) -> bool:
        """Whether the name is taken, as far as this server can tell without the API: its cache may be behind etcd."""
        if core.node(node) is not None or node == self._config.node.name:
            return True
        return self._etcd is not None and await self._in_etcd(node)

    def _defer(self, claim: NodeClaim) -> None:
        try:
            self._deferred.add(claim)
        except WrongPasswordError:
            raise _rejected(claim) from None


def _rejected(claim: NodeClaim) -> StatusError:
    return StatusError(HTTPStatus.FORBIDDEN, f"unable to verify password of node {claim.node}")


def _known(claim: NodeClaim) -> StatusError:
    return unavailable(f"node {claim.node} exists, and its password cannot be verified now")


def _unproven(claim: NodeClaim) -> StatusError:
    return StatusError(
        HTTPStatus.FORBIDDEN,
        f"unable to verify password of node {claim.node}: the node exists and its password does not, so only the "
        "machine with its client certificate is answered; delete the Node to let another one have the name",
    )
