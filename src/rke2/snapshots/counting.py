"""How many keys of each resource an etcd holds, without reading them: two small questions per resource.

The first key behind what was counted already says which resource is next; how many it has, etcd's index knows.
"""

from __future__ import annotations

from rke2.etcd.client import EtcdClient, prefix_end
from rke2.etcd.messages import KeyValue, RangeRequest

ROOT = b"/registry/"
"""Where kube-apiserver keeps everything."""
_SERVICES = b"services"
"""Its two kinds of keys, ``specs`` and ``endpoints``, are one level deeper, as if services were a group."""


async def count_keys(client: EtcdClient, revision: int = 0) -> dict[str, int]:
    """Number of keys per resource, such as ``pods`` or ``helm.cattle.io/helmcharts``.

    Args:
        client: of one member, which answers from what it has.
        revision: at which they are counted; 0 for the present one.

    Raises:
        EtcdError: the member does not answer, or has that revision no more.
    """
    counts: dict[str, int] = {}
    start, end = ROOT, prefix_end(ROOT)
    while found := await _first(client, start, end, revision):
        prefix = prefix_of(found.key)
        start = prefix_end(prefix)
        request = RangeRequest(prefix, start, revision=revision, serializable=True, count_only=True)
        name = prefix.removeprefix(ROOT).strip(b"/").decode(errors="replace")
        counts[name] = (await client.range(request)).count
    return counts


def prefix_of(key: bytes) -> bytes:
    """The part of a key of kube-apiserver that all objects of its resource share, with the slash at its end."""
    parts = key.removeprefix(ROOT).split(b"/")
    deep = 2 if b"." in parts[0] or parts[0] == _SERVICES else 1
    if len(parts) <= deep:
        return key
    return ROOT + b"/".join(parts[:deep]) + b"/"


async def _first(client: EtcdClient, start: bytes, end: bytes, revision: int) -> KeyValue | None:
    request = RangeRequest(start, end, limit=1, revision=revision, serializable=True, keys_only=True)
    answer = await client.range(request)
    return answer.kvs[0] if answer.kvs else None
