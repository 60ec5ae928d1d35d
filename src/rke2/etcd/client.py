"""Requests to etcd: members, maintenance and the few keys the supervisor owns (supervisor reference §7 and §13)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rke2.config.addresses import on_loopback
from rke2.config.model import NodeConfig
from rke2.errors import EtcdError
from rke2.etcd import messages
from rke2.etcd.messages import Alarm, KeyValue, Member, SnapshotResponse, StatusResponse
from rke2.host.files import Stamp, stamp_of
from rke2.staticpods.etcd_config import CLIENT_PORT

if TYPE_CHECKING:
    from rke2.etcd.connection import EtcdConnection

log = logging.getLogger(__name__)

M = TypeVar("M")

TIMEOUT = 10.0
"""Seconds one endpoint has for an ordinary request."""
STATUS_TIMEOUT = 30.0
DEFRAGMENT_TIMEOUT = 60.0
MEMBERSHIP_TIMEOUT = 60.0
SNAPSHOT_SILENCE = 60.0
"""Seconds between two parts of a snapshot. etcd sends the first one when it has opened a read transaction."""

_FILES = ("client.crt", "client.key", "server-ca.crt")

_ELSEWHERE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Codes after which another member may do better: this one is gone, has no leader, or hangs."""

_LEADER_CHANGED = "etcdserver: leader changed"
"""What a member answers to the reads that waited for the old leader; the new one is there already."""
_REPEAT_SECONDS = 0.1


class EtcdClient:
    """A client of the cluster behind `endpoints`, which are tried in their order.

    An endpoint that fails goes to the end of the list. A request is repeated at the next one only if that cannot do
    it twice: it reads, or it never left this host. A read during which the leader changed is asked again. Every request
    raises `EtcdError` with the gRPC code.

    Args:
        endpoints: ``https://<host>:2379``, at least one.
        certificate, key: of the client; `ca` signs the members' certificates. Read at the first request, and again when
            they have changed: a connection shows what it was made with each time it connects again.
    """

    def __init__(self, endpoints: Sequence[str], certificate: Path, key: Path, ca: Path) -> None:
        if not endpoints:
            raise ValueError("an etcd client needs an endpoint")
        self._endpoints = list(endpoints)
        self._files = (certificate, key, ca)
        self._connections: dict[str, EtcdConnection] = {}
        self._made: dict[str, Stamp] = {}
        """Of which files each connection was made."""

    @classmethod
    def of(cls, config: NodeConfig, endpoints: Sequence[str] = ()) -> EtcdClient:
        """The client of a server, with its certificate ``etcd-client``; without `endpoints`, of its own member."""
        tls = config.paths.tls / "etcd"
        return cls(
            endpoints or (local_endpoint(config),),
            tls / "client.crt",
            tls / "client.key",
            tls / "server-ca.crt",
        )

    @property
    def endpoints(self) -> tuple[str, ...]:
        """In the order in which they are asked next."""
        return tuple(self._endpoints)

    async def __aenter__(self) -> EtcdClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. A later request opens them again."""
        # Taken out before the first await: a request that is made
        # meanwhile opens a connection of its own, which stays.
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            await connection.close()

    # --- members -----------------------------------------------------------------------------------

    async def members(self, *, linearizable: bool = True, timeout: float = TIMEOUT) -> tuple[Member, ...]:
        """All members.

        Args:
            linearizable: agreed by a majority; False: as the asked member knows them. A learner answers neither.
        """
        request = messages.MemberListRequest(linearizable)
        answer = await self._read("Cluster/MemberList", request, messages.MembersResponse, timeout)
        return answer.members

    async def add_learner(self, peer_url: str) -> tuple[Member, tuple[Member, ...]]:
        """Add a member without a vote.

        Returns:
            The new member, and all members afterwards.
        """
        request = messages.MemberAddRequest((peer_url,), is_learner=True)
        answer = await self._write("Cluster/MemberAdd", request, messages.MemberAddResponse)
        if answer.member is None:
            raise EtcdError(f"etcd added {peer_url} and does not say as which member", code="INTERNAL")
        return answer.member, answer.members

    async def promote(self, member_id: int) -> tuple[Member, ...]:
        """Give a learner its vote; FAILED_PRECONDITION while it has not caught up."""
        return await self._change("Promote", messages.MemberIDRequest(member_id))

    async def remove(self, member_id: int) -> tuple[Member, ...]:
        """Remove a member; NOT_FOUND if it is gone already."""
        return await self._change("Remove", messages.MemberIDRequest(member_id))

    async def update_peer(self, member_id: int, peer_urls: Sequence[str]) -> tuple[Member, ...]:
        """Say where a member is now."""
        return await self._change("Update", messages.MemberUpdateRequest(member_id, tuple(peer_urls)))

    async def _change(self, verb: str, request: Any) -> tuple[Member, ...]:
        answer = await self._write(f"Cluster/Member{verb}", request, messages.MembersResponse)
        return answer.members

    # --- maintenance, of one member ----------------------------------------------------------------

    async def status(self, endpoint: str = "", *, timeout: float = STATUS_TIMEOUT) -> StatusResponse:
        """The state of the member at `endpoint`, which needs not be among the client's; by default of any."""
        request = messages.Empty()
        # Of this member and no other: somebody else's state in its place would be worse than no answer.
        if endpoint:
            return await self._at(endpoint).call(
                "Maintenance/Status", request, messages.StatusResponse, timeout
            )
        return await self._read("Maintenance/Status", request, messages.StatusResponse, timeout)

    async def defragment(self, endpoint: str) -> None:
        """Give unused pages of the member's database back; it serves nothing meanwhile."""
        await self._at(endpoint).call(
            "Maintenance/Defragment", messages.Empty(), messages.Empty, DEFRAGMENT_TIMEOUT
        )

    def snapshot(self, endpoint: str) -> AsyncIterator[SnapshotResponse]:
        """The database of the member at `endpoint`, in parts of some 32 KiB; `aclosing` it ends the request."""
        return self._at(endpoint).stream(
            "Maintenance/Snapshot", messages.Empty(), messages.SnapshotResponse, SNAPSHOT_SILENCE
        )

    async def alarms(self) -> tuple[Alarm, ...]:
        """The alarms of all members."""
        request = messages.AlarmRequest(messages.ALARM_GET)
        return (await self._read("Maintenance/Alarm", request, messages.AlarmResponse, TIMEOUT)).alarms

    async def disarm(self, alarm: Alarm) -> None:
        """Take an alarm back."""
        request = messages.AlarmRequest(messages.ALARM_DEACTIVATE, alarm.member_id, alarm.alarm)
        await self._write("Maintenance/Alarm", request, messages.AlarmResponse)

    async def downgrade(self, action: int, version: str = "") -> None:
        """Have the members write their data for the minor `version`, or no longer (``DOWNGRADE_…``).

        That it is accepted says nothing of the data: look at every member's storage version.
        """
        request = messages.DowngradeRequest(action, version)
        await self._write("Maintenance/Downgrade", request, messages.Empty)

    # --- keys --------------------------------------------------------------------------------------

    async def get(self, key: str, *, serializable: bool = False, timeout: float = TIMEOUT) -> KeyValue | None:
        """The key, None if there is none; `serializable` asks the local state of the member only."""
        request = messages.RangeRequest(key.encode(), serializable=serializable)
        answer = await self._read("KV/Range", request, messages.RangeResponse, timeout)
        return answer.kvs[0] if answer.kvs else None

    async def get_prefix(
        self,
        prefix: str,
        *,
        serializable: bool = False,
        keys_only: bool = False,
        timeout: float = TIMEOUT,
    ) -> tuple[KeyValue, ...]:
        """All keys that begin with `prefix`, in their order; with `keys_only` their values stay empty."""
        start = prefix.encode()
        request = messages.RangeRequest(
            start or b"\0", prefix_end(start), serializable=serializable, keys_only=keys_only
        )
        return (await self._read("KV/Range", request, messages.RangeResponse, timeout)).kvs

    async def range(
        self, request: messages.RangeRequest, *, timeout: float = TIMEOUT
    ) -> messages.RangeResponse:
        """Whatever a range can ask for: counts, a few keys, an earlier revision."""
        return await self._read("KV/Range", request, messages.RangeResponse, timeout)

    async def put(self, key: str, value: bytes) -> None:
        """Set the key, whatever it was."""
        await self._write("KV/Put", messages.PutRequest(key.encode(), value), messages.Empty)

    async def delete(self, key: str) -> bool:
        """Delete the key; True if there was one."""
        request = messages.DeleteRangeRequest(key.encode())
        return (await self._write("KV/DeleteRange", request, messages.DeleteRangeResponse)).deleted > 0

    async def create(self, key: str, value: bytes) -> bool:
        """Set the key if it does not exist; False if it does."""
        return await self.replace(key, value, 0)

    async def replace(self, key: str, value: bytes, mod_revision: int) -> bool:
        """Set the key if its last change is still `mod_revision`; False if it is not."""
        put = messages.RequestOp(put=messages.PutRequest(key.encode(), value))
        return await self._if_unchanged(key, mod_revision, put)

    async def delete_unchanged(self, key: str, mod_revision: int) -> bool:
        """Delete the key if its last change is still `mod_revision`; False if it is not."""
        delete = messages.RequestOp(delete=messages.DeleteRangeRequest(key.encode()))
        return await self._if_unchanged(key, mod_revision, delete)

    async def _if_unchanged(self, key: str, mod_revision: int, operation: messages.RequestOp) -> bool:
        condition = messages.Compare(messages.TARGET_MOD, key.encode(), mod_revision)
        request = messages.TxnRequest((condition,), (operation,))
        return (await self._write("KV/Txn", request, messages.TxnResponse)).succeeded

    # --- where to ----------------------------------------------------------------------------------

    def _at(self, endpoint: str) -> EtcdConnection:
        # grpcio is loaded by the first request: most commands of rke2, and agents, ask etcd for nothing.
        from rke2.etcd.connection import EtcdConnection, EtcdCredentials

        made = self._made.get(endpoint) if endpoint in self._connections else None
        # Before the files are read: what is written in between has another stamp, and is read at the next
        # request. While a file is missing, a connection that is there goes on with what it has.
        now = self._stamp() or made
        if endpoint not in self._connections or now != made:
            # Requests that are under way keep the earlier connection until they are answered.
            self._connections[endpoint] = EtcdConnection(endpoint, EtcdCredentials(*self._files))
            self._made[endpoint] = now or ()
        return self._connections[endpoint]

    def _stamp(self) -> Stamp | None:
        """None while a file is missing, as after ``rke2 certificate rotate``."""
        try:
            return stamp_of(self._files)
        except OSError:
            return None

    async def _read(self, method: str, request: Any, answer: type[M], timeout: float) -> M:
        async def ask(at: EtcdConnection) -> M:
            return await at.call(method, request, answer, timeout)

        give_up = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                return await self._try_each(ask, repeatable=True)
            except EtcdError as error:
                # Whatever else fails has been tried at every endpoint already.
                if _LEADER_CHANGED not in str(error) or asyncio.get_running_loop().time() > give_up:
                    raise
            await asyncio.sleep(_REPEAT_SECONDS)

    async def _write(self, method: str, request: Any, answer: type[M]) -> M:
        # RKE2 gives a removal a minute, too (controllers reference
        # §7.2): members have to be connected, and to agree.
        timeout = MEMBERSHIP_TIMEOUT if method.startswith("Cluster/") else TIMEOUT
        return await self._try_each(lambda at: at.call(method, request, answer, timeout), repeatable=False)

    async def _try_each(self, ask: Callable[[EtcdConnection], Awaitable[M]], *, repeatable: bool) -> M:
        from rke2.etcd.connection import EtcdRequestError

        failures: list[EtcdRequestError] = []
        # `endpoints` is a copy: this loop and those of other requests change the order of the list meanwhile.
        for endpoint in self.endpoints:
            try:
                return await ask(self._at(endpoint))
            except EtcdRequestError as error:
                # An `EtcdError` of another kind is not caught: a certificate
                # that cannot be read is missing for all endpoints.
                if error.code not in _ELSEWHERE:
                    raise
                self._demote(endpoint)
                failures.append(error)
                # It may have been carried out: another member would do it
                # twice, or refuse what was done already.
                if error.sent and not repeatable:
                    break
        raise EtcdError("; ".join(error.message for error in failures), code=failures[-1].code)

    def _demote(self, endpoint: str) -> None:
        self._endpoints.remove(endpoint)
        self._endpoints.append(endpoint)


def local_endpoint(config: NodeConfig) -> str:
    """Where this server's own member serves, and a server without one has its load balancer."""
    return f"https://{on_loopback(config, CLIENT_PORT)}"


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all those that begin with `prefix`; ``\\0`` (the end of all keys) if there is none."""
    # A byte 0xff has no successor, so the last one before such bytes is counted up.
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"
