"""The cluster's shared files in the real etcd."""

from __future__ import annotations

import pytest

from rke2.errors import JoinError
from rke2.join import bootstrap_encryption
from rke2.join.bootstrap import BootstrapData, BootstrapEntry
from rke2.join.store import BootstrapStore
from tests.integration.etcd.cluster import Network

pytestmark = pytest.mark.content

FULL = f"K10{'a' * 64}::server:secret"


async def test_servers_share_through_etcd(network: Network) -> None:
    data = BootstrapData({"ServerCA": BootstrapEntry(b"pem", 1)})
    changed = BootstrapData({"ServerCA": BootstrapEntry(b"rotated", 2)})
    first = await network.alone()
    async with first.connect() as client:
        store = BootstrapStore(client, FULL, poll=0.01)
        await client.create(bootstrap_encryption.storage_key("secret"), b"")
        assert await store.save(data), "after the deserted lock is gone"
        assert not await store.save(changed)
        assert await store.save(changed, override=True)
        assert await BootstrapStore(client, "secret").load() == changed
        with pytest.raises(JoinError, match="different token"):
            await BootstrapStore(client, "wrong").load()

        await client.delete(bootstrap_encryption.storage_key("secret"))
        await client.put(
            bootstrap_encryption.storage_key(FULL), bootstrap_encryption.encrypt(data.to_json(), FULL)
        )
        assert await store.load() == data
        assert [item.key.decode() for item in await client.get_prefix("/bootstrap/")] == [
            bootstrap_encryption.storage_key("secret")
        ]
