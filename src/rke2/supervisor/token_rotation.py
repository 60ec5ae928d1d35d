"""``rke2 token rotate``: another server token, on all servers, while they run.

::

    copy of the bootstrap data in etcd, encrypted with the new token
      ──▶ every other server takes the token over ──▶ this one does ──▶ the copy for the former token is deleted

Until the last step both tokens open the data, so who is killed starts with whichever lies on the disk. The new token
is on this server's disk before anything else (`PENDING`), and the same command goes on with it.

In RKE2 (day2 reference §7) the other servers keep the former token until they are restarted with the new one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rke2.config.model import SUPERVISOR_PORT, NodeConfig
from rke2.errors import ConfigError, PKIError, RKE2Error
from rke2.host.addresses import host_port
from rke2.host.files import write_atomic
from rke2.join.bootstrap import AGENT_SALT, FILES, BootstrapData, BootstrapEntry
from rke2.join.client import connect
from rke2.join.credentials import exchange_server_token, further_agent_passwords
from rke2.join.passwd import SERVER_USER, Passwd
from rke2.join.store import BootstrapStore, KeyStore, not_stored_yet
from rke2.join.tokens import PasswordToken, parse_server_token
from rke2.kube.nodes import internal_address, is_server
from rke2.kube.objects import Object, name_of
from rke2.pki.pem import read_file
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.slots import Passwords, Slot

log = logging.getLogger(__name__)

PENDING = "next-token"
"""File in ``cred`` with both tokens of a rotation that is under way."""
PATH = "/v1-rke2/token"
PEER_SECONDS = 30.0
_PASSWORD_BYTES = 16
_SALT_BYTES = 16
_FORMAT = (
    "failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>"
)


class _Pending(NamedTuple):
    """A rotation that is under way."""

    new: PasswordToken
    former: PasswordToken

    def encode(self) -> str:
        return f"{self.new}\n{self.former}\n"


class TokenRotation:
    """This server's part in it.

    Args:
        passwords: who may authenticate with a password; exchanged here.
        etcd: its own member, or through a load balancer those of others.
        core: knows the other servers; empty until the Kubernetes API answers.
    """

    def __init__(
        self, config: NodeConfig, passwords: Slot[Passwords], etcd: KeyStore, core: CoreSlot
    ) -> None:
        self._config, self._passwords, self._etcd, self._core = config, passwords, etcd, core
        self._lock = asyncio.Lock()

    async def rotate(self, wanted: str) -> list[str]:
        """Make `wanted` the server token of all servers.

        Args:
            wanted: any form of a server token; empty for a random one.

        Returns:
            The servers that have not taken it over; they have to be started with it.

        Raises:
            PKIError: there is no token yet, or `wanted` is not one, or another rotation was interrupted.
            JoinError, EtcdError: the bootstrap data cannot be copied; nothing has changed.
            OSError: a file cannot be written.
        """
        async with self._lock:
            current = await self._current()
            # One that was cut off goes on with its own token: some
            # servers may have that one already, and no other.
            pending = await asyncio.to_thread(self._read_pending) or _Pending(
                self._wanted(wanted or secrets.token_hex(_PASSWORD_BYTES), current), current
            )
            if wanted and self._wanted(wanted, current).password != pending.new.password:
                raise PKIError(
                    "a rotation to another token was interrupted",
                    "finish that one first, without --new-token",
                )
            await asyncio.to_thread(write_atomic, self._pending, pending.encode(), 0o600, durable=True)
            # Cut off after this server took it over, or there is nothing to exchange: what may be left is
            # other servers, and the copy for the former token.
            if current.password == pending.new.password:
                missing = await self._finish(pending)
            else:
                missing = await self._exchange(current, pending.new)
            # Last: without the file, a repeated command would rotate to a third token.
            await asyncio.to_thread(self._pending.unlink, missing_ok=True)
            log.info("the server token was rotated")
            return missing

    async def adopt(self, wanted: str) -> None:
        """Take over the token that another server has rotated to.

        Raises:
            PKIError: it is not one.
            JoinError: etcd has no bootstrap data that it opens.
            EtcdError, OSError: etcd cannot be asked, or a file cannot be written.
        """
        async with self._lock:
            await self._adopt(self._parsed(wanted))

    async def _exchange(self, former: PasswordToken, new: PasswordToken) -> list[str]:
        store, salt = BootstrapStore(self._etcd, str(former)), secrets.token_hex(_SALT_BYTES).encode()

        def changed(data: BootstrapData) -> BootstrapData:
            return _with_passwords(data, new.password, salt)

        revision = await store.copy_to(str(new), changed)
        missing = await self._offer(former, new)
        await self._adopt(new)
        # A server that has not taken the token over may have changed the keys of the cluster since.
        while not await store.drop(revision):
            revision = await store.copy_to(str(new), changed)
        return missing

    async def _finish(self, pending: _Pending) -> list[str]:
        """What is left where this server has the new token already."""
        missing = await self._offer(pending.former, pending.new)
        if pending.former.password == pending.new.password:
            return missing
        former, new = (BootstrapStore(self._etcd, str(token)) for token in (pending.former, pending.new))
        while revision := await former.revision():
            # A server that has not taken the token over may have changed the keys of the cluster since the copy.
            if revision > await new.revision():
                revision = await self._copy_again(former, pending.new)
            await former.drop(revision)
        return missing

    async def _copy_again(self, former: BootstrapStore, new: PasswordToken) -> int:
        copied = await BootstrapStore(self._etcd, str(new)).load()
        if copied is None:
            raise not_stored_yet()
        # Servers have agents' passwords of this salt on their disks already.
        salt = copied.entries[AGENT_SALT].content
        return await former.copy_to(str(new), lambda data: _with_passwords(data, new.password, salt))

    async def _adopt(self, new: PasswordToken) -> None:
        # Only a token that opens the data in etcd: with any other
        # this server would be refused at its next start.
        data = await BootstrapStore(self._etcd, str(new)).load()
        if data is None:
            raise not_stored_yet()
        # The disk first: what lets somebody in from now on has to do so after a restart, too.
        self._passwords.exchange(await asyncio.to_thread(self._write, data, new.password))

    def _write(self, data: BootstrapData, password: str) -> Passwords:
        # The salt first: the agents' password, which is written below, is made with the one on the disk.
        BootstrapData({key: data.entries[key] for key in (AGENT_SALT,) if key in data.entries}).write(
            self._config.paths.server
        )
        credentials = exchange_server_token(self._config, password)
        return Passwords(credentials.passwd, further_agent_passwords(self._config))

    # --- which token -------------------------------------------------------------------------------
    async def _current(self) -> PasswordToken:
        content = await asyncio.to_thread(read_file, self._config.paths.token)
        if content is None:
            raise PKIError("server token not found", "start the server again")
        return self._parsed(content.decode(errors="replace").strip())

    def _wanted(self, text: str, current: PasswordToken) -> PasswordToken:
        new = self._parsed(text)
        if new.ca_hash not in ("", current.ca_hash):
            raise PKIError("the new token is of another cluster", "give its password alone")
        return replace(new, username=SERVER_USER, ca_hash=current.ca_hash)

    def _read_pending(self) -> _Pending | None:
        content = read_file(self._pending)
        lines = content.decode(errors="replace").splitlines() if content else []
        return _Pending(*map(self._parsed, lines)) if len(lines) == len(_Pending._fields) else None

    @staticmethod
    def _parsed(text: str) -> PasswordToken:
        try:
            return parse_server_token(text)
        except ConfigError as error:
            raise PKIError(_FORMAT) from error

    @property
    def _pending(self) -> Path:
        return self._config.paths.cred / PENDING

    # --- other servers -----------------------------------------------------------------------------
    async def _offer(self, former: PasswordToken, new: PasswordToken) -> list[str]:
        """Have every other server take the token over; the names of those that have not."""
        core = self._core.current
        nodes = core.nodes.objects.values() if core else ()
        others = [node for node in nodes if is_server(node) and name_of(node) != self._config.node.name]
        async with asyncio.TaskGroup() as tasks:
            # All at once: several that are away must not add up to more than the request may take.
            asked = {name_of(node): tasks.create_task(_offered(node, former, new)) for node in others}
        return sorted(name for name, task in asked.items() if not task.result())


async def _offered(node: Object, former: PasswordToken, new: PasswordToken) -> bool:
    body = json.dumps({"newToken": str(new), "adopt": True}).encode()
    problem: RKE2Error | None = None
    # The new one, too: it may have taken it over already, and not have been heard.
    for token in (former, new):
        try:
            supervisor = await connect(_url(node), str(token), SERVER_USER)
            await supervisor.put(PATH, body, PEER_SECONDS)
        except RKE2Error as error:
            problem = error
        else:
            return True
    log.warning("server %s has not taken the new token over: %s", name_of(node), problem)
    return False


def _url(node: Object) -> str:
    return f"https://{host_port(internal_address(node), SUPERVISOR_PORT)}"


def _with_passwords(data: BootstrapData, password: str, salt: bytes) -> BootstrapData:
    """`data` with another server password, and what makes another password for agents."""
    now, path = time.time_ns(), Path(FILES["PasswdFile"].path)
    entry = data.entries.get("PasswdFile")
    former = Passwd.parse(entry.content, path) if entry else Passwd(password, password)
    passwd = Passwd(password, former.node if former.separate else password)
    changed = {"PasswdFile": BootstrapEntry(passwd.encode(), now), AGENT_SALT: BootstrapEntry(salt, now)}
    return replace(data, entries={**data.entries, **changed})
