"""The keys that servers share and exchange while they run: those that encrypt Secrets.

::

    change ──▶ etcd, if nobody else was faster ──▶ disk ──▶ listeners        on the server that is asked
                 │
                 └─ follow: every few seconds ──▶ disk ──▶ listeners          on all others

etcd comes first. Who is killed before the disk is written takes the keys from etcd at the next start; keys on a disk
that etcd does not have would keep the server from starting (`rke2.join.reconcile`).

In RKE2 the other servers learn of new keys when they are restarted, and cannot read until then what the first one
has encrypted with them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from rke2.config.paths import Paths
from rke2.errors import EtcdError, JoinError, RKE2Error
from rke2.join.bootstrap import BootstrapData, BootstrapEntry
from rke2.join.store import BootstrapStore, KeyStore

log = logging.getLogger(__name__)

POLL = 3.0
LIVE = ("EncryptionConfig", "EncryptionHash")
"""Keys of `rke2.join.bootstrap.FILES` that are taken over by servers that run; the configuration before its hash."""

Listener = Callable[[], Awaitable[None]]


class SharedKeys:
    """This server's share.

    Args:
        paths: of its files.
        etcd: its own member, or through a load balancer those of others.
        poll: seconds between two looks at what others have changed.
    """

    def __init__(self, paths: Paths, etcd: KeyStore, *, poll: float = POLL) -> None:
        self._paths, self.etcd, self._poll = paths, etcd, poll
        self._listeners: list[Listener] = []
        self._revision = 0
        # A file must not be written with what was read before it was changed here.
        self._writing = asyncio.Lock()

    def listen(self, listener: Listener) -> None:
        """Call `listener` after files may have changed; what it raises of ours is logged."""
        self._listeners.append(listener)

    async def change(self, contents: Mapping[str, bytes], *, instead_of: Mapping[str, bytes]) -> None:
        """Exchange files, in etcd and here.

        Args:
            contents: key of `LIVE` -> new content.
            instead_of: the contents that this was decided on.

        Raises:
            JoinError: another server has changed them meanwhile, or etcd has no keys of this server's token.
            EtcdError: etcd cannot be asked.
            OSError: a file cannot be written.
        """

        def changed(data: BootstrapData) -> BootstrapData:
            # Looked at in here, which is called again with what a faster server has stored meanwhile.
            for key, content in instead_of.items():
                if key in data.entries and data.entries[key].content != content:
                    raise JoinError(
                        "another server has changed the keys meanwhile", "ask for the status again"
                    )
            now = time.time_ns()
            return replace(
                data, entries={**data.entries, **{k: BootstrapEntry(c, now) for k, c in contents.items()}}
            )

        async with self._writing:
            data = await (await self._store()).change(changed)
            await self._write(data)
        # Without the lock: a listener may wait for the API server for seconds.
        await self._tell()

    async def follow(self) -> None:
        """Take over what other servers change, and tell the listeners at each look, until cancelled."""
        while True:
            try:
                await self.take_over()
                # Also if nothing has changed: the Node that a listener writes
                # to may be new, or have been made again.
                await self._tell()
            except EtcdError as error:
                log.debug("shared keys: %s", error)
            except RKE2Error as error:
                log.warning("the keys of the cluster cannot be followed: %s", error)
            await asyncio.sleep(self._poll)

    async def take_over(self) -> bool:
        """Bring the files to what etcd has, if that is another than at the last look; whether any has changed.

        A file that was changed by hand stays as it is until the next start, which sees it.

        Raises:
            JoinError: etcd has no keys of this server's token.
            EtcdError: etcd cannot be asked.
            OSError: a file cannot be written.
        """
        async with self._writing:
            store = await self._store()
            # Before the data: what changes in between is loaded twice, and not missed.
            revision = await store.revision()
            if revision and revision == self._revision:
                return False
            data = await store.load()
            changed = data is not None and await self._write(data)
            # After the files: one that could not be written is written at the next look.
            self._revision = revision
        if changed:
            log.info("the keys that encrypt Secrets were changed by another server")
        return changed

    async def _store(self) -> BootstrapStore:
        # Read each time: once the token was rotated the data is found, and opened, with the new one only.
        return BootstrapStore(self.etcd, (await asyncio.to_thread(self._paths.token.read_text)).strip())

    async def _write(self, data: BootstrapData) -> bool:
        live = BootstrapData({key: data.entries[key] for key in LIVE if key in data.entries})
        return bool(await asyncio.to_thread(live.write, self._paths.server))

    async def _tell(self) -> None:
        for listener in self._listeners:
            try:
                await listener()
            except RKE2Error as error:
                log.warning("%s", error)
