"""A machine outside the cluster, on the same network, that asks for web pages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rke2_lab.host import LabHost

_ASK = """
import json, socket, ssl, sys
from http.client import HTTPConnection
wanted = json.load(sys.stdin)
plain = socket.create_connection((wanted["address"], wanted["port"]), timeout=5)
if wanted["ca"]:
    context = ssl.create_default_context(cadata=wanted["ca"])
    context.set_alpn_protocols(wanted["alpn"])
    plain = context.wrap_socket(plain, server_hostname=wanted["host"])
answers = []
connection = HTTPConnection(wanted["host"])
connection.sock = plain
for _ in range(wanted["times"]):
    connection.request("GET", wanted["path"], headers={"Host": wanted["host"], **wanted["headers"]})
    answer = connection.getresponse()
    body = answer.read().decode()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    answers.append({"status": answer.status, "headers": headers, "body": body.strip()})
print(json.dumps(answers))
"""

_TALK = """
import json, socket, sys
wanted = json.load(sys.stdin)
with socket.create_connection((wanted["address"], wanted["port"]), timeout=5) as connection:
    connection.settimeout(5)
    heard = b""
    for text, until in wanted["exchange"]:
        connection.sendall(text.encode())
        heard = b""
        while until.encode() not in heard:
            more = connection.recv(4096)
            if not more:
                break
            heard += more
    sys.stdout.write(heard.decode())
"""

_PROTOCOL = """
import json, socket, ssl, sys
wanted = json.load(sys.stdin)
context = ssl.create_default_context(cadata=wanted["ca"])
context.set_alpn_protocols(["h2", "http/1.1"])
plain = socket.create_connection((wanted["address"], 443), timeout=5)
print(context.wrap_socket(plain, server_hostname=wanted["host"]).selected_alpn_protocol())
"""

NO_ANSWER = 0
"""The status of an answer that did not come."""


@dataclass(frozen=True)
class Answer:
    """An answer, with the names of its headers in small letters; status `NO_ANSWER` and the reason if there is none."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Visitor:
    """Asks the node at `address` from `host`."""

    host: LabHost
    address: str

    def get(self, name: str, path: str = "/", *, ca: str = "", port: int = 0, **headers: str) -> Answer:
        """The answer of the site `name`.

        Args:
            ca: the certificate (PEM) that its own must come from; without it plain HTTP is spoken.
            port: if not 80 or, with `ca`, 443.
            headers: of the request, ``_`` for ``-``.
        """
        return self.get_often(1, name, path, ca=ca, port=port, **headers)[0]

    def get_often(
        self, times: int, name: str, path: str = "/", *, ca: str = "", port: int = 0, **headers: str
    ) -> list[Answer]:
        """The answers to several requests over one connection."""
        wanted = {
            "address": self.address,
            "port": port or (443 if ca else 80),
            "host": name,
            "path": path,
            "ca": ca,
            "alpn": ["http/1.1"],
            "headers": {key.replace("_", "-"): value for key, value in headers.items()},
            "times": times,
        }
        done = self._run(_ASK, wanted)
        if done.returncode:
            return [Answer(NO_ANSWER, {}, done.stderr.strip().rpartition("\n")[2])]
        return [Answer(**answer) for answer in json.loads(done.stdout)]

    def protocol(self, name: str, ca: str) -> str:
        """What TLS agrees on with a client that would like HTTP/2."""
        done = self._run(_PROTOCOL, {"address": self.address, "host": name, "ca": ca})
        return done.stdout.strip()

    def talk(self, port: int, *exchange: tuple[str, str]) -> str:
        """Send each text and read until its answer holds the second text; gives the last answer."""
        return self._run(_TALK, {"address": self.address, "port": port, "exchange": exchange}).stdout

    def _run(self, script: str, wanted: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        return self.host.exec([self.host.python, "-c", script], input=json.dumps(wanted), timeout=60)
