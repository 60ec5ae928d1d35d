"""Real etcd members inside the control plane's namespaces, asked with etcdctl.

gRPC's threads do not follow the tests into the namespace, so `rke2.etcd.client` is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rke2.errors import EtcdError
from rke2.etcd.messages import KeyValue, Member
from tests.binaries import binary
from tests.control_plane import ControlPlane

_CODES = {
    "member not found": "NOT_FOUND",
    "not enough started members": "FAILED_PRECONDITION",
    "unhealthy cluster": "UNAVAILABLE",
}


@dataclass
class EtcdCluster:
    """Members ``node1-00000001`` at 127.0.1.1 and so on; what the controllers ask of an `EtcdClient`."""

    control_plane: ControlPlane
    size: int
    away: bool = False
    servers: list[str] = field(default_factory=list)

    def start(self, folder: Path) -> None:
        peers = ",".join(f"{name(n)}=http://{address(n)}:2380" for n in range(1, self.size + 1))
        for number in range(1, self.size + 1):
            server = f"etcd-{folder.name}-{number}"
            self.servers.append(server)
            self.control_plane.start(server, *_arguments(number, folder / str(number), peers))

    def stop(self) -> None:
        for server in self.servers:
            self.control_plane.stop(server)

    async def members(self, *, timeout: float = 0.0) -> tuple[Member, ...]:
        answer = await self._ask("member", "list")
        return tuple(
            Member(
                each["ID"],
                each.get("name", ""),
                tuple(each["peerURLs"]),
                tuple(each.get("clientURLs") or ()),
                bool(each.get("isLearner")),
            )
            for each in answer["members"]
        )

    async def names(self) -> list[str]:
        return sorted(each.name for each in await self.members())

    async def remove(self, member_id: int, /) -> None:
        await self._ask("member", "remove", f"{member_id:x}")

    async def get(self, key: str, /) -> KeyValue | None:
        answer = await self._ask("get", key)
        found = (answer.get("kvs") or [None])[0]
        return KeyValue(key.encode(), value=base64.b64decode(found["value"])) if found else None

    async def put(self, key: str, value: bytes, /) -> None:
        await self._ask("put", key, value.decode())

    async def status(self, endpoint: str, /, *, timeout: float) -> object:
        return await self._ask("endpoint", "status", f"--command-timeout={timeout}s", at=endpoint)

    async def _ask(self, *args: str, at: str = "") -> Any:
        if self.away:
            raise EtcdError("etcd is away", code="UNAVAILABLE")
        endpoints = at or ",".join(f"{address(n)}:2379" for n in range(1, self.size + 1))
        process = await asyncio.create_subprocess_exec(
            *self.control_plane.command(
                str(binary("etcdctl")), f"--endpoints={endpoints}", "--write-out=json", *args
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        if process.returncode:
            text = error.decode()
            raise EtcdError(text, code=next((c for part, c in _CODES.items() if part in text), "UNKNOWN"))
        return json.loads(out)


def name(number: int) -> str:
    return f"node{number}-{number:08x}"


def address(number: int) -> str:
    return f"127.0.1.{number}"


def _arguments(number: int, folder: Path, peers: str) -> Sequence[str]:
    here = address(number)
    return (
        str(binary("etcd")),
        f"--name={name(number)}",
        f"--data-dir={folder}",
        f"--listen-client-urls=http://{here}:2379",
        f"--advertise-client-urls=http://{here}:2379",
        f"--listen-peer-urls=http://{here}:2380",
        f"--initial-advertise-peer-urls=http://{here}:2380",
        f"--initial-cluster={peers}",
        "--unsafe-no-fsync",
        "--logger=zap",
    )


@contextmanager
def etcd_cluster(control_plane: ControlPlane, folder: Path, size: int) -> Iterator[EtcdCluster]:
    """A cluster of `size` voters; it may still be electing."""
    made = EtcdCluster(control_plane, size)
    made.start(folder)
    try:
        yield made
    finally:
        made.stop()
