"""A client of the supervisor that speaks HTTP over TLS by hand, so that any request can be made."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> Any:
        """The message of a Status object."""
        return self.json["message"]


@dataclass(frozen=True)
class Client:
    """Trusts the CA bundle `ca`; presents the certificate `stem`.crt if there is one."""

    port: int
    ca: Path
    stem: Path | None = None
    host: str = "127.0.0.1"

    async def ask(self, path: str, user: str = "", *, method: str = "GET", **headers: str) -> Answer:
        """One request; `user` is ``name:password`` for Basic authentication."""
        if user:
            headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        lines = [f"{method} {path} HTTP/1.1", "Host: supervisor", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return await self.send("\r\n".join([*lines, "", ""]).encode())

    async def send(self, request: bytes) -> Answer:
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.context())
        writer.write(request)
        answer = await reader.read()
        writer.close()
        if not answer:
            raise ConnectionError("closed without an answer")
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in rest)
        return Answer(int(first.split()[1]), headers, body)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.stem:
            context.load_cert_chain(f"{self.stem}.crt", f"{self.stem}.key")
        return context
