from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from rke2.errors import ConfigError, EtcdError, JoinError
from rke2.etcd.messages import KeyValue
from rke2.join import bootstrap_encryption
from rke2.join.bootstrap import BootstrapData, BootstrapEntry
from rke2.join.store import LOCK_TRIES, BootstrapStore

DATA = BootstrapData({"ServerCA": BootstrapEntry(b"pem", 1)})
OTHER = BootstrapData({"ServerCA": BootstrapEntry(b"other", 2)})
KEY = bootstrap_encryption.storage_key("secret")
FULL = f"K10{'a' * 64}::server:secret"


@dataclass
class Memory:
    """etcd's keys in a dict; `on_read` is called before each read with its number.

    Attributes:
        sent: bytes of values that reads were answered with.
    """

    revision: int = 1
    keys: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    on_read: Callable[[int], None] = lambda number: None
    reads: int = 0
    sent: int = 0

    async def get_prefix(self, prefix: str, *, keys_only: bool = False) -> tuple[KeyValue, ...]:
        self.reads += 1
        self.on_read(self.reads)
        found = [each for each in sorted(self.keys.items()) if each[0].startswith(prefix)]
        answer = [
            KeyValue(key=key.encode(), value=b"" if keys_only else value, mod_revision=revision)
            for key, (value, revision) in found
        ]
        self.sent += sum(len(each.value) for each in answer)
        return tuple(answer)

    async def create(self, key: str, value: bytes) -> bool:
        return await self.replace(key, value, 0)

    async def replace(self, key: str, value: bytes, mod_revision: int) -> bool:
        if self.keys.get(key, (b"", 0))[1] != mod_revision:
            return False
        self.set(key, value)
        return True

    async def delete(self, key: str) -> bool:
        return self.keys.pop(key, None) is not None

    async def delete_unchanged(self, key: str, mod_revision: int) -> bool:
        return self.keys.get(key, (b"", 0))[1] == mod_revision and await self.delete(key)

    def set(self, key: str, value: bytes) -> None:
        self.revision += 1
        self.keys[key] = (value, self.revision)


def holding(data: BootstrapData, token: str = "secret") -> Memory:
    etcd = Memory()
    etcd.set(bootstrap_encryption.storage_key(token), bootstrap_encryption.encrypt(data.to_json(), token))
    return etcd


def store_in(etcd: Memory, token: str = "secret") -> BootstrapStore:
    return BootstrapStore(etcd, token, poll=0)


async def test_a_new_cluster_has_none() -> None:
    assert await store_in(Memory()).load() is None


async def test_what_is_saved_is_loaded() -> None:
    etcd = Memory()
    assert await store_in(etcd, FULL).save(DATA)
    assert list(etcd.keys) == [KEY]
    assert b"pem" not in etcd.keys[KEY][0]
    assert await store_in(etcd, "secret").load() == DATA


async def test_the_first_one_wins() -> None:
    etcd = holding(DATA)
    assert not await store_in(etcd).save(OTHER)
    assert await store_in(etcd).load() == DATA


async def test_a_forced_save() -> None:
    etcd = holding(DATA)
    assert await store_in(etcd).save(OTHER, override=True)
    assert await store_in(etcd).load() == OTHER


async def test_two_servers_that_override_at_once() -> None:
    etcd = holding(DATA)

    def meanwhile(number: int) -> None:
        if number == 2:
            etcd.set(KEY, bootstrap_encryption.encrypt(b"{}", "secret"))

    etcd.on_read = meanwhile
    with pytest.raises(JoinError, match="meanwhile"):
        await store_in(etcd).save(OTHER, override=True)


@pytest.mark.parametrize("method", ["load", "save"])
async def test_another_token(method: str) -> None:
    store = store_in(holding(DATA), "wrong")
    with pytest.raises(JoinError, match="bootstrap data already found and encrypted with different token"):
        await (store.load() if method == "load" else store.save(DATA))


async def test_a_bootstrap_token_is_none() -> None:
    with pytest.raises(ConfigError):
        store_in(Memory(), "abcdef.0123456789abcdef")


# --- several keys ----------------------------------------------------------------------------------
async def test_several_keys_warn(caplog: pytest.LogCaptureFixture) -> None:
    etcd = holding(DATA)
    etcd.set("/bootstrap/000000000000", b"x")
    assert await store_in(etcd).load() == DATA
    assert "found multiple bootstrap keys in storage" in caplog.text
    with pytest.raises(JoinError, match="found multiple bootstrap keys in storage"):
        await store_in(etcd).save(OTHER, override=True)


@pytest.mark.parametrize("former", ["", FULL])
async def test_keys_of_old_releases_are_moved(former: str) -> None:
    etcd = holding(DATA, former)
    assert await store_in(etcd, FULL).load() == DATA
    assert list(etcd.keys) == [KEY]


# --- the lock --------------------------------------------------------------------------------------
async def test_a_lock_is_waited_for() -> None:
    etcd = Memory()
    etcd.set(KEY, b"")

    def written(number: int) -> None:
        if number == 3:
            etcd.set(KEY, bootstrap_encryption.encrypt(DATA.to_json(), "secret"))

    etcd.on_read = written
    assert await store_in(etcd).load() == DATA


async def test_a_lock_that_stays_is_deleted() -> None:
    etcd = Memory()
    etcd.set(KEY, b"")
    assert await store_in(etcd).load() is None
    assert etcd.keys == {}
    assert etcd.reads == LOCK_TRIES + 2


async def test_data_that_come_when_the_lock_is_deleted_stay() -> None:
    etcd = Memory()
    etcd.set(KEY, b"")
    delete = etcd.delete_unchanged

    async def too_late(key: str, mod_revision: int) -> bool:
        etcd.set(KEY, bootstrap_encryption.encrypt(DATA.to_json(), "secret"))
        return await delete(key, mod_revision)

    etcd.delete_unchanged = too_late  # type: ignore[method-assign]
    assert await store_in(etcd).load() == DATA


async def test_data_of_an_old_release_survive_a_lock() -> None:
    etcd = holding(DATA, "")
    etcd.set(KEY, b"")
    assert await store_in(etcd, FULL).load() == DATA
    assert list(etcd.keys) == [KEY]


async def test_a_deleted_lock_lets_others_save() -> None:
    etcd = Memory()
    etcd.set(KEY, b"")
    assert await store_in(etcd).save(DATA)
    assert await store_in(etcd).load() == DATA


# --- learners --------------------------------------------------------------------------------------
def learner_until(last: int) -> Callable[[int], None]:
    def refuse(number: int) -> None:
        if number <= last:
            raise EtcdError("etcdserver: rpc not supported for learner", code="UNAVAILABLE")

    return refuse


async def test_a_learner_loads_when_it_has_a_vote() -> None:
    etcd = holding(DATA)
    etcd.on_read = learner_until(3)
    assert await store_in(etcd).load() == DATA


async def test_a_learner_saves_only_what_it_must() -> None:
    etcd = holding(DATA)
    etcd.on_read = learner_until(3)
    assert not await store_in(etcd).save(OTHER)
    assert etcd.reads == 1
    assert await store_in(etcd).save(OTHER, override=True)


async def test_other_errors_are_told() -> None:
    etcd = Memory()

    def refuse(_: int) -> None:
        raise EtcdError("no leader", code="UNAVAILABLE")

    etcd.on_read = refuse
    with pytest.raises(EtcdError, match="no leader"):
        await store_in(etcd).load()
