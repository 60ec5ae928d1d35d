"""The Secrets that keep node passwords as slow hashes (supervisor reference §4.3)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import OrderedDict

from rke2.errors import KubeError
from rke2.join import node_password
from rke2.kube.objects import Object
from rke2.kube.resources import SECRETS
from rke2.supervisor.core import NAMESPACE, Core

_HASHES_AT_A_TIME = 2
"""One takes 32 MiB and about 100 ms of a CPU."""
_MOST_REMEMBERED = 4096
FAILED = "NodePasswordValidationFailed"
"""Reason of the event on a Node whose password is not the one in its Secret."""
_FINAL = frozenset({400, 403, 404, 409, 422})


class WrongPasswordError(Exception):
    """The Secret holds another password."""


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
        # The node asks for its next certificate at once, and would cost a second hash.
        self._remember(text, self._digest(password))
        return text

    def _remember(self, text: str, digest: bytes) -> None:
        self._right[text] = digest
        while len(self._right) > _MOST_REMEMBERED:
            self._right.popitem(last=False)

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode(errors="surrogateescape"), "sha256")


def is_final(error: KubeError) -> bool:
    """Whether the API has understood and refused: asking it again changes nothing."""
    return error.status in _FINAL


async def stored(core: Core, node: str) -> Object | None:
    """The Secret of `node`: the cached one, else what the API has; None if there is none.

    Raises:
        KubeError: the API cannot be asked.
    """
    name = node_password.secret_name(node)
    # A cached one is as good: it is immutable, and one that was just deleted only refuses a moment longer.
    return core.node_password(name) or await core.client.find(SECRETS, name, NAMESPACE)


async def compare(secret: Object, password: str, verifier: Verifier) -> None:
    """Raises WrongPasswordError unless `secret` has the hash of `password`."""
    if not await verifier.verify(_hash_in(secret), password):
        raise WrongPasswordError


async def store(core: Core, node: str, password: str, text: str, verifier: Verifier) -> None:
    """Make the Secret of `node`, or see that the one somebody else has made meanwhile is of the same password.

    Args:
        text: the hash of `password`.

    Raises:
        WrongPasswordError: the other one holds another password.
        KubeError: the API cannot be asked, or does not take the Secret.
    """
    name = node_password.secret_name(node)
    try:
        await core.client.create(SECRETS, _secret(name, text))
    except KubeError as error:
        # By the reason: 409 is Conflict, too.
        if error.reason != "AlreadyExists":
            raise
        await compare(await core.client.get(SECRETS, name, NAMESPACE), password, verifier)


def _secret(name: str, text: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": node_password.SECRET_TYPE,
        "immutable": True,
        "data": {"hash": base64.b64encode(text.encode()).decode()},
    }


def _hash_in(secret: Object) -> str:
    """The stored hash; anything else matches no password."""
    try:
        return base64.b64decode(str((secret.get("data") or {}).get("hash") or "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
