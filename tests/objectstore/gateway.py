"""versitygw with its posix backend: built once, started on a loopback address of its own, with a CA of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.x509 import IPAddress

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.body import Body
from rke2.s3.client import open_bucket
from tests.authorities import own_authority

SOURCE = Path(__file__).parent / "server"
PACKAGE = "github.com/versity/versitygw/cmd/versitygw"
BUILD_SECONDS = 3600
LIMIT = 60.0
ACCESS, SECRET, BUCKET = "test-key", "test-secret", "snapshots"


@cache
def program() -> Path:
    """The program, built where it is not there yet; without a Go toolchain the test is skipped."""
    target = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rke2-tests/versitygw"
    newest = max((SOURCE / name).stat().st_mtime for name in ("go.mod", "go.sum"))
    if not target.exists() or target.stat().st_mtime < newest:
        go = shutil.which("go") or pytest.skip("there is no Go toolchain to build the S3 server with")
        made = target.with_name(f"{target.name}.{os.getpid()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([go, "build", "-o", made, PACKAGE], cwd=SOURCE, check=True, timeout=BUILD_SECONDS)
        made.replace(target)
    return target


@dataclass(frozen=True)
class Gateway:
    """A running server; `settings` are right for it."""

    address: str
    root: Path
    settings: S3Settings

    def files(self, bucket: str = BUCKET) -> list[str]:
        """Keys as the server has them on disk, without what it keeps for itself."""
        top = self.root / bucket
        found = (path.relative_to(top) for path in top.rglob("*") if path.is_file())
        return sorted(str(path) for path in found if path.parts[0] != ".sgwtmp")

    def parts(self) -> list[Path]:
        """Parts of uploads that are not finished."""
        return [path for path in (self.root / BUCKET / ".sgwtmp").rglob("*") if path.is_file()]


def own_address(last: int) -> str:
    """A loopback address that no other test process has."""
    return f"127.{128 + os.getpid() % 64}.{os.getpid() // 64 % 256}.{last}"


@contextmanager
def gateway(
    folder: Path, *, tls: bool = True, last: int = 1, prefix: Sequence[str] = ()
) -> Iterator[Gateway]:
    """The server inside the block, with an empty bucket.

    Args:
        last: of the address, for more than one at a time.
        prefix: command that it is started by.
    """
    address, root = own_address(last), folder / "store"
    for name in ("store", "sidecar", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    port = 7070
    words = [str(program()), "--port", f"{address}:{port}", "--access", ACCESS, "--secret", SECRET]
    certificate = b""
    if tls:
        certificate, key = own_authority("object store", IPAddress(ip_address(address)))
        (folder / "tls.crt").write_bytes(certificate)
        (folder / "tls.key").write_bytes(key)
        words += ["--cert", str(folder / "tls.crt"), "--key", str(folder / "tls.key")]
    words += ["posix", "--sidecar", str(folder / "sidecar"), str(root)]
    settings = S3Settings(
        endpoint=f"{address}:{port}",
        endpoint_ca=str(folder / "tls.crt") if tls else "",
        insecure=not tls,
        access_key=ACCESS,
        secret_key=SECRET,
        bucket=BUCKET,
    )
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([*prefix, *words], stdout=log, stderr=log, cwd=folder / "home")
        try:
            asyncio.run(_ready(process, settings, folder / "server.log"))
            yield Gateway(address, root, settings)
        finally:
            process.terminate()
            process.wait(20)


async def _ready(process: subprocess.Popen[bytes], settings: S3Settings, log: Path) -> None:
    async with asyncio.timeout(LIMIT), open_bucket(settings) as bucket:
        while True:
            assert process.poll() is None, log.read_text(errors="replace")
            try:
                await bucket.put("", Body.of(b""), {})
            except S3Error as error:
                if not error.temporary:
                    raise
                await asyncio.sleep(0.1)
            else:
                return
