"""The S3 server on a host of a lab, with TLS and an authority of its own: other hosts of the lab reach it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from cryptography.x509 import IPAddress

from rke2.config.model import S3Settings
from rke2_lab import roots
from rke2_lab.lab import Lab
from tests.authorities import own_authority
from tests.objectstore.gateway import ACCESS, BUCKET, SECRET, program

HOST = "store"
PORT = 7070

_DIRECTORY = Path("/var/lib/rancher/objectstore")
BUCKET_DIRECTORY = _DIRECTORY / "store" / BUCKET
_MAKE_BUCKET = """
import asyncio, json, sys
from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3.body import Body
from rke2.s3.client import open_bucket

async def main():
    async with asyncio.timeout(120), open_bucket(S3Settings(**json.loads(sys.argv[1]))) as bucket:
        while True:
            try:
                return await bucket.put("", Body.of(b""), {})
            except S3Error as error:
                if not error.temporary:
                    raise
            await asyncio.sleep(0.1)

asyncio.run(main())
"""


class StoreHost:
    """The host and the server on it, with an empty bucket.

    Attributes:
        authority: its certificate, in PEM.
        settings: right for it, but for the path of the authority.
    """

    def __init__(self, lab: Lab) -> None:
        self.host = lab.add_host(HOST, roots.MACHINE)
        address = self.host.address
        self.authority, key = own_authority("object store", IPAddress(ip_address(address)))
        self.settings = S3Settings(
            endpoint=f"{address}:{PORT}", access_key=ACCESS, secret_key=SECRET, bucket=BUCKET
        )
        self.host.write_file(_DIRECTORY / "tls.crt", self.authority)
        self.host.write_file(_DIRECTORY / "tls.key", key)
        self.host.place_file(program(), _DIRECTORY / "versitygw")
        for name in ("store", "sidecar"):
            self.host.path(_DIRECTORY / name).mkdir(exist_ok=True)
        self._start(address)

    def files(self) -> list[str]:
        """Keys of the objects, as the server has them on disk."""
        top = self.host.path(BUCKET_DIRECTORY)
        found = (path.relative_to(top) for path in top.rglob("*") if path.is_file())
        return sorted(str(path) for path in found if path.parts[0] != ".sgwtmp")

    def _start(self, address: str) -> None:
        words = [str(_DIRECTORY / "versitygw"), "--port", f"{address}:{PORT}"]
        words += ["--access", ACCESS, "--secret", SECRET]
        words += ["--cert", str(_DIRECTORY / "tls.crt"), "--key", str(_DIRECTORY / "tls.key")]
        words += ["posix", "--sidecar", str(_DIRECTORY / "sidecar"), str(_DIRECTORY / "store")]
        with (self.host.directory / "store.log").open("ab") as log:
            self.host.popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        settings = replace(self.settings, endpoint_ca=str(_DIRECTORY / "tls.crt"))
        about = {
            name: getattr(settings, name) for name in ("endpoint", "endpoint_ca", "access_key", "bucket")
        }
        about["secret_key"] = settings.secret_key
        self.host.exec([self.host.python, "-c", _MAKE_BUCKET, json.dumps(about)], check=True, timeout=300)
