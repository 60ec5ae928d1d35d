"""Requests as bytes, what came back, and the host from which they are sent."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rke2_lab.host import LabHost

PORT = 9345
_PROGRAM = Path(__file__).with_name("raw.py")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
Part = tuple[float, bytes]


@dataclass(frozen=True)
class Credential:
    """What a client shows: a header, a certificate with its key, or both.

    Args:
        name: in the tables.
    """

    name: str
    authorization: str = ""
    pem: str = ""

    @classmethod
    def basic(cls, name: str, user: str, password: str) -> Credential:
        return cls(name, "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


NOBODY = Credential("nobody")


@dataclass(frozen=True)
class Ask:
    """A connection, and what is sent over it.

    Args:
        line: such as ``GET /ping``.
        headers: besides Host, Authorization and Content-Length.
        parts: bytes to be sent in place of a request, each after a pause in seconds.
        seconds: how long an answer is waited for.
        keep: leave the connection open after the answer.
        sni: name that the TLS handshake tells.
        tls: False speaks in the clear.
        port: of the server.
    """

    line: str = ""
    by: Credential = NOBODY
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    parts: tuple[Part, ...] = ()
    seconds: float = 10.0
    keep: bool = False
    sni: str = ""
    tls: bool = True
    port: int = PORT

    def text(self) -> bytes:
        """The request, complete."""
        given = {
            "Host": "server",
            **({"Authorization": self.by.authorization} if self.by.authorization else {}),
            **({"Content-Length": str(len(self.body))} if self.body else {}),
            **({} if self.keep else {"Connection": "close"}),
            **self.headers,
        }
        lines = [f"{self.line} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def job(self, server: str) -> dict[str, Any]:
        parts = self.parts or ((0.0, self.text()),)
        return {
            "server": server,
            "port": self.port,
            "tls": self.tls,
            "sni": self.sni,
            "pem": self.by.pem,
            "parts": [(pause, base64.b64encode(part).decode()) for pause, part in parts],
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Answer:
    """What came back.

    Args:
        ended: the server closed the connection.
        error: why there was no connection, or none any more.
        seconds: from connecting to the end.
        served: the certificate of the server, DER.
    """

    received: bytes
    ended: bool
    error: str
    seconds: float
    served: bytes = b""

    @property
    def status(self) -> int:
        """Of the first answer; 0 if there is none."""
        words = self.received.split(b" ", 2)
        return int(words[1]) if self.received.startswith(b"HTTP/") and len(words) > 1 else 0

    @property
    def statuses(self) -> list[int]:
        """Of all answers on the connection (bodies of the server's own answers hold no status lines)."""
        return [int(code) for code in _STATUS.findall(self.received)]

    @property
    def body(self) -> bytes:
        return self.received.partition(b"\r\n\r\n")[2]

    def __str__(self) -> str:
        return f"{self.status} {self.error} {self.body[:200]!r}".strip()


@dataclass(frozen=True)
class Attacker:
    """Sends requests to `server` from `host`."""

    host: LabHost
    server: str

    def ask(self, *asks: Ask, at_once: int = 1) -> list[Answer]:
        """The answers in the order of `asks`.

        Args:
            at_once: how many of the connections there are at a time.
        """
        order = {"jobs": [ask.job(self.server) for ask in asks], "at_once": at_once}
        # As text: a checkout below /tmp or /var/tmp is not visible in a host, which has its own.
        command = [self.host.python, "-c", _PROGRAM.read_text()]
        done = self.host.exec(command, input=json.dumps(order), timeout=240)
        assert done.returncode == 0, done.stderr
        return [_answer(each) for each in json.loads(done.stdout)]

    def one(self, line: str, by: Credential = NOBODY, **rest: Any) -> Answer:
        """The answer to a single request."""
        return self.ask(Ask(line, by, **rest))[0]


def _answer(outcome: dict[str, Any]) -> Answer:
    return Answer(
        base64.b64decode(outcome["received"]),
        outcome["ended"],
        outcome["error"],
        outcome["seconds"],
        base64.b64decode(outcome["served"]),
    )


def table(rows: Sequence[tuple[object, ...]]) -> str:
    """Rows for the message of a failure."""
    return "\n" + "\n".join("  ".join(str(cell) for cell in row) for row in rows)
