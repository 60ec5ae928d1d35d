"""The passwd file: who may talk to the supervisor with a password.

Mirrors the supervisor reference §3.2: CSV rows ``password,username,uid,groups``, exactly one for agents (``node``) and
one for servers (``server``); the uid repeats the username.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from rke2.errors import PKIError
from rke2.host.files import write_atomic
from rke2.pki.pem import read_file

NODE_USER = "node"
SERVER_USER = "server"
AGENT_GROUP = "rke2:agent"
SERVER_GROUP = "rke2:server"
_FIELDS = 4


@dataclass(frozen=True)
class Passwd:
    """The two passwords of a cluster; they are equal unless there is a separate agent token."""

    server: str
    node: str

    @property
    def separate(self) -> bool:
        """Whether agents have a password of their own."""
        return self.server != self.node

    def write(self, path: Path) -> bool:
        """Store both rows in `path`; True if that changed the file."""
        return write_atomic(path, self.encode(), 0o600, durable=True)

    def encode(self) -> bytes:
        """Both rows."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        # The rows in RKE2's order: servers compare the file byte by byte, before they look into it.
        rows.writerow((self.node, NODE_USER, NODE_USER, AGENT_GROUP))
        rows.writerow((self.server, SERVER_USER, SERVER_USER, SERVER_GROUP))
        return text.getvalue().encode()

    @classmethod
    def read(cls, path: Path) -> Passwd | None:
        """The passwords in `path`, None if there is no file yet.

        A legacy file with a node row only gives both their password.

        Raises:
            PKIError: the file is not in the format.
        """
        content = read_file(path)
        return None if content is None else cls.parse(content, path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Passwd:
        """The passwords in `content`, which is that of `path`.

        Raises:
            PKIError: it is not in the format.
        """
        passwords = _passwords(path, content)
        node = passwords.get(NODE_USER, "")
        server = passwords.get(SERVER_USER, node)
        if not server:
            raise PKIError(f"{path} has no row for the user server", _REMEDY)
        return cls(server, node or server)


_REMEDY = "put the original file back, or delete it and start with the cluster's token"


def _passwords(path: Path, content: bytes) -> dict[str, str]:
    try:
        # Unless strict, csv takes a quote that is never closed for
        # the beginning of a field with all that follows.
        rows = [row for row in csv.reader(io.StringIO(content.decode()), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise PKIError(f"{path} is not readable: {error}", _REMEDY) from error
    if any(len(row) < _FIELDS for row in rows):
        raise PKIError(f"{path}: every row needs password,username,uid,groups", _REMEDY)
    return {row[1]: row[0] for row in rows}
