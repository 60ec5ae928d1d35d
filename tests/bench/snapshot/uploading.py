"""A snapshot's way to the object store beside one plain PUT by curl, both over TLS from the same host."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from rke2.s3.signing import UNSIGNED, Credentials, signed_headers
from tests.bench.snapshot.machines import Machines, Memory, ratio, save, shown

_AUTHORITY = Path("/etc/rancher/rke2/store-ca.pem")
_UPLOAD = """
import asyncio, json, sys, time
from pathlib import Path
from rke2.config.model import S3Settings
from rke2.s3.transfer import upload
from rke2.snapshots.store import opened

async def main(settings, path):
    began = time.monotonic()
    async with opened(S3Settings(**settings), "cannot copy") as bucket:
        await upload(bucket, Path(path), "ours", content_type="application/octet-stream", metadata={})
    print(time.monotonic() - began)

asyncio.run(main(*json.loads(sys.argv[1])))
"""


def report(machines: Machines, runs: int) -> None:
    node, settings = machines.node, machines.store.settings
    node.host.write_file(_AUTHORITY, machines.store.authority)
    flags = {
        "endpoint": settings.endpoint,
        "endpoint-ca": str(_AUTHORITY),
        "bucket": settings.bucket,
        "access-key": settings.access_key,
        "secret-key": settings.secret_key,
    }
    memory = Memory(node)
    path = save(node, "--s3", *(f"--s3-{name}={value}" for name, value in flags.items()))
    rise = memory.rise()
    _ours(machines, path)
    theirs, ours = list[float](), list[float]()
    for _ in range(runs):
        theirs.append(_theirs(machines, path))
        ours.append(_ours(machines, path))
    node.host.path(path).unlink()
    shown("curl, one PUT", theirs)
    shown("rke2's upload", ours)
    ratio(ours, theirs, "of the speeds, at least 0.8", speed=True)
    print(f"{'  supervisor, MiB more at its peak':38}{rise:7.1f} (at most 40; save and upload)")


def _ours(machines: Machines, path: Path) -> float:
    settings = machines.store.settings
    about = {name: getattr(settings, name) for name in ("endpoint", "bucket", "access_key", "secret_key")} | {
        "endpoint_ca": str(_AUTHORITY)
    }
    host = machines.node.host
    words = [host.python, "-c", _UPLOAD, json.dumps([about, str(path)])]
    return float(host.exec(words, check=True, timeout=900).stdout)


def _theirs(machines: Machines, path: Path) -> float:
    settings = machines.store.settings
    target = f"/{settings.bucket}/theirs"
    who = Credentials(settings.access_key, settings.secret_key)
    headers = signed_headers(
        "PUT", settings.endpoint, target, "", {}, UNSIGNED, who, settings.region, datetime.now(UTC)
    )
    words = ["curl", "-sS", "--fail", "-o", "/dev/null", "--cacert", str(_AUTHORITY), "-H", "Expect:"]
    words += [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    began = time.monotonic()
    machines.node.host.exec(
        [*words, "-T", str(path), f"https://{settings.endpoint}{target}"], check=True, timeout=900
    )
    return time.monotonic() - began
