"""Node passwords: the node that registered first under a name keeps it.

Mirrors the supervisor reference §4.2 and §4.3 and the controllers reference §5 (request side). Who holds the cluster's
token may register any node, but not one that is there already: its password is in a Secret, as a slow hash.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import secrets
from collections import OrderedDict
from http import HTTPStatus

from rke2.config.model import NodeConfig
from rke2.errors import KubeError, PKIError
from rke2.join import node_password
from rke2.kube.objects import Object
from rke2.kube.resources import SECRETS
from rke2.pki.pem import read_file
from rke2.supervisor.calls import Call
from rke2.supervisor.core import NAMESPACE, NODE_PASSWORD_TYPE, Core, CoreSlot
from rke2.supervisor.status import StatusError, bad_request, internal, not_authorized, unavailable

log = logging.getLogger(__name__)

_HASHES_AT_A_TIME = 2
"""One takes 32 MiB and about 100 ms of a CPU."""
_MOST_REMEMBERED = 4096
_RETRY_SECONDS = 5.0
_LONGEST_NODE_NAME = 64 - len("system:node:")
"""A common name in X.509 has at most 64 characters."""


class WrongPasswordError(Exception):
    """The node's password is another one."""


class NodePasswords:
    """Decides whether a request comes from the node it says it comes from."""

    def __init__(self, config: NodeConfig, core: CoreSlot, retry_seconds: float = _RETRY_SECONDS) -> None:
        self._config, self._core, self._retry_seconds = config, core, retry_seconds
        self._verifier = Verifier()
        self._deferred: OrderedDict[str, str] = OrderedDict()

    async def identify(self, call: Call) -> str:
        """The name of the node that `call` is from.

        Raises:
            StatusError: as the reference's validation order says.
        """
        node, password = _claim(call)
        own = call.identity.node if call.identity else ""
        if own and own != node:
            raise bad_request("header node name does not match auth node name")
        core = self._core.current
        if core is None:
            await self._without_core(call, node, password, own)
        elif own and core.node(own) is None:
            raise not_authorized()
        else:
            await self._with_core(core, node, password)
        return node

    async def _without_core(self, call: Call, node: str, password: str, own: str) -> None:
        if node == self._config.node.name and call.from_this_machine:
            await asyncio.to_thread(self._compare_own, password)
        elif not self._config.runs_apiserver and not own:
            self._defer(node, password)
        else:
            raise unavailable("runtime core not ready")

    def _compare_own(self, password: str) -> None:
        path = self._config.paths.node_config_dir / "password"
        try:
            stored = read_file(path)
        except PKIError as error:
            raise internal("node-password", error) from error
        if stored is None:
            raise internal("node-password", FileNotFoundError(path))
        if not hmac.compare_digest(stored.strip(), password.encode()):
            raise _rejected(self._config.node.name)

    async def _with_core(self, core: Core, node: str, password: str) -> None:
        try:
            await ensure(core, node, password, self._verifier)
        except WrongPasswordError:
            raise _rejected(node) from None
        except KubeError as error:
            log.warning("The password of node %s cannot be verified now: %s", node, error)
            self._defer(node, password)

    # --- later -------------------------------------------------------------------------------------
    def _defer(self, node: str, password: str) -> None:
        self._deferred.pop(node, None)
        self._deferred[node] = password
        while len(self._deferred) > _MOST_REMEMBERED:
            self._deferred.popitem(last=False)

    async def run(self) -> None:
        """Verify, until cancelled, what could not be verified when it was asked for."""
        while True:
            core = await self._core.wait()
            for node, password in list(self._deferred.items()):
                try:
                    await self._verify_deferred(core, node, password)
                except Exception:  # one node's entry must not keep the others from being verified
                    log.exception("The password of node %s cannot be verified; it is dropped", node)
                    self._deferred.pop(node, None)
            await asyncio.sleep(self._retry_seconds)

    async def _verify_deferred(self, core: Core, node: str, password: str) -> None:
        about = core.node(node) or _node_reference(node)
        try:
            await ensure(core, node, password, self._verifier)
        except KubeError as error:
            log.debug("The password of node %s cannot be verified yet: %s", node, error)
            return
        except WrongPasswordError:
            message = "Deferred node password secret validation failed: hash does not match"
            core.events.emit(about, "Warning", "NodePasswordValidationFailed", message)
        else:
            message = "Deferred node password secret validation complete"
            core.events.emit(about, "Normal", "NodePasswordValidationComplete", message)
        if self._deferred.get(node) == password:
            del self._deferred[node]


class Verifier:
    """Compares passwords with slow hashes, few at a time; remembers, under a key of its own, which were right."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[str, bytes] = OrderedDict()
        self._places = asyncio.Semaphore(_HASHES_AT_A_TIME)

    async def verify(self, text: str, password: str) -> bool:
        """Whether `text` is the hash of `password`."""
        digest = self._digest(password)
        known = self._right.get(text)
        if known and hmac.compare_digest(known, digest):
            return True
        async with self._places:
            right = await asyncio.to_thread(node_password.verify, text, password)
        if right:
            self._remember(text, digest)
        return right

    async def hash(self, password: str) -> str:
        async with self._places:
            text = await asyncio.to_thread(node_password.hash, password)
        self._remember(text, self._digest(password))
        return text

    def _remember(self, text: str, digest: bytes) -> None:
        self._right[text] = digest
        while len(self._right) > _MOST_REMEMBERED:
            self._right.popitem(last=False)

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode(errors="surrogateescape"), "sha256")


def secret_name(node: str) -> str:
    return f"{node.lower()}.node-password.rke2"


async def ensure(core: Core, node: str, password: str, verifier: Verifier) -> None:
    """Compare `password` with the node's Secret, or make the Secret if there is none.

    Raises:
        WrongPasswordError: the Secret holds another one.
        KubeError: the API cannot be asked, or does not take the Secret.
    """
    name = secret_name(node)
    known = core.node_password(name) or await core.client.find(SECRETS, name, NAMESPACE)
    if known is None:
        known = await _create(core, name, await verifier.hash(password))
    if known and not await verifier.verify(_hash_in(known), password):
        raise WrongPasswordError


async def _create(core: Core, name: str, text: str) -> Object | None:
    """None, or the Secret that somebody else has made in the meantime."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": NODE_PASSWORD_TYPE,
        "immutable": True,
        "data": {"hash": base64.b64encode(text.encode()).decode()},
    }
    try:
        await core.client.create(SECRETS, secret)
    except KubeError as error:
        if error.reason != "AlreadyExists":
            raise
        return await core.client.get(SECRETS, name, NAMESPACE)
    return None


def _hash_in(secret: Object) -> str:
    """The stored hash; what is none matches no password."""
    try:
        return base64.b64decode(str((secret.get("data") or {}).get("hash") or "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _claim(call: Call) -> tuple[str, str]:
    node, password = call.node_header("Name").lower(), call.node_header("Password")
    if not node:
        raise bad_request("node name not set")
    if not password:
        raise bad_request("node password not set")
    if len(node) > _LONGEST_NODE_NAME:
        raise bad_request(f"node name longer than {_LONGEST_NODE_NAME} characters")
    return node, password


def _rejected(node: str) -> StatusError:
    return StatusError(HTTPStatus.FORBIDDEN, f"unable to verify password of node {node}")


def _node_reference(node: str) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "uid": node}}
