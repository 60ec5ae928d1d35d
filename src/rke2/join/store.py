"""The bootstrap data in etcd: one encrypted value under a key made of the cluster's token.

Mirrors the supervisor reference §6.2, "Storage". An empty value is the lock of a server that is about to write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from rke2.errors import EtcdError, JoinError
from rke2.join import bootstrap_encryption
from rke2.join.bootstrap import BootstrapData
from rke2.join.tokens import parse_server_token

log = logging.getLogger(__name__)
T = TypeVar("T")

POLL = 1.0
LOCK_TRIES = 5
_LEARNER = "rpc not supported for learner"


class StoredKey(Protocol):
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def mod_revision(self) -> int: ...


class KeyStore(Protocol):
    """What is used of `rke2.etcd.client.EtcdClient`; every method raises `EtcdError`."""

    async def get_prefix(self, prefix: str, *, keys_only: bool = False) -> Sequence[StoredKey]: ...
    async def create(self, key: str, value: bytes) -> bool: ...
    async def replace(self, key: str, value: bytes, mod_revision: int) -> bool: ...
    async def delete(self, key: str) -> bool: ...
    async def delete_unchanged(self, key: str, mod_revision: int) -> bool: ...


class BootstrapStore:
    """The cluster's copy of the shared files.

    Args:
        token: the server token in any form; its password encrypts the data.
        poll: seconds between attempts.

    Raises:
        ConfigError: `token` is not a valid token.
    """

    def __init__(self, etcd: KeyStore, token: str, *, poll: float = POLL) -> None:
        self._etcd = etcd
        self._password = parse_server_token(token).password
        self._key = bootstrap_encryption.storage_key(self._password)
        self._former = tuple(text for text in ("", token) if text != self._password)
        self._poll = poll

    async def load(self) -> BootstrapData | None:
        """The data, None if the cluster has none yet.

        Raises:
            JoinError: it is another token's, or damaged.
            EtcdError: etcd cannot be asked.
        """
        found = await self._retry_learner(self._find)
        if found is None:
            return None
        return await self._opened(found)

    async def revision(self) -> int:
        """When the data was last changed; 0 if there is none. Asked every few seconds: the data itself stays there.

        Raises:
            EtcdError: etcd cannot be asked.
        """
        return next((item.mod_revision for item in await self._keys() if _name(item) == self._key), 0)

    async def save(self, data: BootstrapData, *, override: bool = False) -> bool:
        """Store `data`; without `override` only if the cluster has none yet.

        Returns:
            Whether it was stored.

        Raises:
            JoinError: the data in etcd is another token's; with `override`, there are several keys or another
                server writes, too.
            EtcdError: etcd cannot be asked.
        """
        if not override:
            try:
                return await self._save(data, override)
            except EtcdError as error:
                if not _of_learner(error):
                    raise
                log.debug("This member has no vote yet; the bootstrap data is that of the others")
                return False
        return await self._retry_learner(lambda: self._save(data, override))

    async def change(self, change: Callable[[BootstrapData], BootstrapData]) -> BootstrapData:
        """Store what `change` makes of the data; it is called again if another server was faster.

        Returns:
            The data as stored.

        Raises:
            JoinError: the data in etcd is another token's, or there is none yet; or what `change` raises.
            EtcdError: etcd cannot be asked.
        """
        while True:
            found, former = await self._stored()
            data = change(former)
            value = await asyncio.to_thread(bootstrap_encryption.encrypt, data.to_json(), self._password)
            if await self._etcd.replace(self._key, value, found.mod_revision):
                return data

    async def _stored(self) -> tuple[StoredKey, BootstrapData]:
        """The data with its key.

        Raises:
            JoinError: it is another token's, or there is none yet.
        """
        found = await self._find()
        if found is None:
            raise not_stored_yet()
        return found, await self._opened(found)

    async def _opened(self, item: StoredKey) -> BootstrapData:
        plain = await asyncio.to_thread(bootstrap_encryption.decrypt, item.value, self._password)
        return BootstrapData.from_json(plain)

    # --- another token -----------------------------------------------------------------------------
    async def copy_to(self, token: str, change: Callable[[BootstrapData], BootstrapData]) -> int:
        """Store what `change` makes of the data for another token, too; what is there of that one is overwritten.

        Returns:
            The revision of the data that was copied, for `drop`.

        Raises:
            ConfigError: `token` is not a valid token.
            JoinError: the data in etcd is another token's, or there is none yet.
            EtcdError: etcd cannot be asked.
        """
        password = parse_server_token(token).password
        found, data = await self._stored()
        value = await asyncio.to_thread(bootstrap_encryption.encrypt, change(data).to_json(), password)
        key = bootstrap_encryption.storage_key(password)
        stored = {_name(item): item.mod_revision for item in await self._keys()}
        if not await self._etcd.replace(key, value, stored.get(key, 0)):
            raise JoinError("another server has changed the bootstrap data meanwhile", "try again")
        # Of what was copied, not of the copy: `drop` leaves data
        # alone that has changed since, which the copy lacks.
        return found.mod_revision

    async def drop(self, revision: int) -> bool:
        """Delete the data of this token; False if it is another than at `revision`.

        Raises:
            EtcdError: etcd cannot be asked.
        """
        return await self._etcd.delete_unchanged(self._key, revision)

    async def _save(self, data: BootstrapData, override: bool) -> bool:
        found = await self._find()
        if found and not override:
            return False
        if override and len(await self._keys()) > 1:
            raise JoinError(
                "found multiple bootstrap keys in storage",
                f"delete those below {bootstrap_encryption.PREFIX} in etcd whose token is not in use any more; "
                f"this server's is {self._key}",
            )
        value = await asyncio.to_thread(bootstrap_encryption.encrypt, data.to_json(), self._password)
        if found is None:
            # False if another first server was faster: its keys are the cluster's then.
            return await self._etcd.create(self._key, value)
        if not await self._etcd.replace(self._key, value, found.mod_revision):
            raise JoinError("another server has changed the bootstrap data meanwhile", "try again")
        return True

    async def _keys(self) -> Sequence[StoredKey]:
        """All keys of bootstrap data, without the data."""
        return await self._etcd.get_prefix(bootstrap_encryption.PREFIX, keys_only=True)

    async def _find(self) -> StoredKey | None:
        """The value of this token's key, as soon as no other server is about to write it."""
        found = await self._look()
        # As in RKE2 (supervisor reference §6.2): a server that was
        # killed before it wrote has left its lock for good.
        for _ in range(LOCK_TRIES):
            if found is None or found.value:
                return found
            log.info("Another server is about to store the bootstrap data; waiting for it")
            await asyncio.sleep(self._poll)
            found = await self._look()
        if found is not None and not found.value:
            log.warning("The other server did not store the bootstrap data; deleting its lock %s", self._key)
            # Unless it has just stored them: with the data the keys of the cluster would be gone.
            await self._etcd.delete_unchanged(self._key, found.mod_revision)
            found = await self._look()
        return found

    async def _look(self) -> StoredKey | None:
        stored = list(await self._etcd.get_prefix(bootstrap_encryption.PREFIX))
        if await self._migrate(stored):
            stored = list(await self._etcd.get_prefix(bootstrap_encryption.PREFIX))
        # Two of them are normal while a token is rotated.
        if len(stored) > 1:
            log.warning("found multiple bootstrap keys in storage: %s", ", ".join(map(_name, stored)))
        own = next((item for item in stored if _name(item) == self._key), None)
        # Never a second key beside those of another token: servers would go by different CAs from then on.
        if stored and own is None:
            raise bootstrap_encryption.wrong_token()
        return own

    # --- keys of old releases ----------------------------------------------------------------------
    async def _migrate(self, stored: Sequence[StoredKey]) -> bool:
        """Move data of the empty token, or of the token in its full form, to the key of the password."""
        former = {bootstrap_encryption.storage_key(text): text for text in self._former}
        moved = [item for item in stored if _name(item) in former and item.value]
        there = any(_name(item) == self._key and item.value for item in stored)
        for item in moved:
            plain = await asyncio.to_thread(bootstrap_encryption.decrypt, item.value, former[_name(item)])
            value = await asyncio.to_thread(bootstrap_encryption.encrypt, plain, self._password)
            # Not if the own key is another server's lock, which came first and has no value: these are all there is.
            if there or await self._etcd.create(self._key, value):
                await self._etcd.delete(_name(item))
                log.info("Moved the bootstrap data from %s to %s", _name(item), self._key)
        return bool(moved)

    async def _retry_learner(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """A member answers as soon as it has its vote."""
        while True:
            try:
                return await attempt()
            except EtcdError as error:
                # Anything else is the caller's: only this one ends by itself, with the member's vote.
                if not _of_learner(error):
                    raise
                log.debug("%s; trying again", error)
            await asyncio.sleep(self._poll)


def not_stored_yet() -> JoinError:
    """What there is to say of a cluster whose first server has not come so far yet."""
    return JoinError("the cluster's keys are not in etcd yet", "try again when the server has started")


def _name(item: StoredKey) -> str:
    return item.key.decode(errors="replace")


def _of_learner(error: EtcdError) -> bool:
    return _LEARNER in error.message
