"""The members as etcd tells of them: from canned answers, and from a listener with TLS as a member has it."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rke2.config.paths import Paths
from rke2.pki.server_pki import ensure_server_pki
from rke2.status import etcd
from rke2.status.etcd import EtcdStatus, read
from tests.configs import paths_under, server_config
from tests.unit.status import reports


def trouble(**known: Any) -> str:
    return reports.etcd(**known).trouble()


def test_members_with_their_roles() -> None:
    found = reports.etcd(silent=(2,))
    assert [(m.node, m.role, m.own, m.answers) for m in found.members] == [
        ("server-0", "voter", True, True),
        ("server-1", "leader", False, True),
        ("server-2", "voter", False, False),
    ]
    assert found.trouble() == ""


def test_numbers_keep_all_their_digits() -> None:
    """Ids are beyond what a float holds, and strings in one answer, numbers in the other."""
    id_ = 13668033151171901709
    known = [{"id": id_, "name": "a-1"}, {"id": id_ + 1, "name": "b-1"}]
    found = read(known, {"leader": str(id_ + 1)}, "a-1", set())
    assert [member.role for member in found.members] == ["voter", "leader"]


@pytest.mark.parametrize(
    ("silent", "leader", "expected"),
    [
        ((1,), "server-0-1a2b3c4d", ""),
        ((1, 2), "", "2 of 3 members do not answer: no quorum; start rke2 on server-1, server-2"),
        ((1, 2), "server-0-1a2b3c4d", ""),
        ((1,), "", "no leader yet"),
    ],
)
def test_quorum(silent: tuple[int, ...], leader: str, expected: str) -> None:
    assert trouble(silent=silent, leader=leader) == expected


def test_learners_do_not_count_for_the_quorum() -> None:
    members = reports.members("server-2-9c0d1e2f")
    found = read(members, {"leader": "0"}, "server-0-1a2b3c4d", {"https://10.0.0.12:2380"})
    assert found.trouble() == "1 of 2 members do not answer: no quorum; start rke2 on server-1"


def test_a_member_that_was_added_and_never_started() -> None:
    added = {"id": 9, "name": "", "peerURLs": ["https://10.0.0.13:2380"], "isLearner": True}
    found = read([added], {}, "x", set())
    assert [(m.name, m.node, m.role) for m in found.members] == [("", "10.0.0.13", "learner")]


def test_alarms_are_named_with_their_node() -> None:
    found = reports.etcd(errors=["memberID:185828541645115251 alarm:NOSPACE "])
    assert found.alarms == ("NOSPACE on server-1",)
    assert found.trouble().startswith("alarm NOSPACE on server-1: the database is full; restart rke2 there")
    assert reports.etcd(errors=["alarm:CORRUPT "]).alarms == ("CORRUPT",)


def test_before_the_member_serves_clients() -> None:
    answering = {f"https://10.0.0.1{number}:2380" for number in range(3)}
    found = read(reports.members(), {}, "server-0-1a2b3c4d", answering)
    assert found.trouble() == "the member on this node does not serve its clients yet"


# --- over the wire ---------------------------------------------------------------------------------


@contextmanager
def listener(paths: Paths, certificate: str, authority: str, answers: dict[str, str]) -> Iterator[str]:
    """Serves `answers` by ``METHOD path``, to clients with a certificate of `authority` only."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = answers.get(f"{self.command} {self.path}")
            self.send_response(200 if answer else 404)
            self.end_headers()
            self.wfile.write((answer or "").encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    tls = paths.tls / "etcd"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / f"{certificate}.crt", tls / f"{certificate}.key")
    context.load_verify_locations(tls / f"{authority}.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    paths = paths_under(tmp_path_factory.mktemp("node"))
    ensure_server_pki(server_config(paths))
    paths.etcd.mkdir(parents=True)
    (paths.etcd / "name").write_text("here-1a2b3c4d")
    return paths


def look(paths: Paths, members: list[dict[str, Any]], status: dict[str, Any] | None) -> EtcdStatus | None:
    peers = {"GET /members": json.dumps(members)}
    gateway = {"POST /v3/maintenance/status": json.dumps(status)} if status is not None else {}
    with (
        listener(paths, "peer-server-client", "peer-ca", peers) as peers_url,
        listener(paths, "server-client", "server-ca", gateway) as gateway_url,
    ):
        return etcd.look(paths, peers_url, gateway_url)


def test_the_local_member_is_asked_and_the_others_are_connected_to(paths: Paths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as up, socket.create_server(("127.0.0.1", 0)) as gone:
        urls = {
            name: f"https://127.0.0.1:{one.getsockname()[1]}" for name, one in (("up", up), ("gone", gone))
        }
        gone.close()
        members = [
            {"id": 1, "name": "here-1a2b3c4d", "peerURLs": ["https://192.0.2.1:2380"]},
            {"id": 2, "name": "up-1a2b3c4d", "peerURLs": [urls["up"]]},
            {"id": 3, "name": "gone-1a2b3c4d", "peerURLs": [urls["gone"]]},
        ]
        found = look(paths, members, {"leader": "1", "dbSize": "20480"})
    assert found
    assert {member.node: member.answers for member in found.members} == {
        "here": True,
        "up": True,
        "gone": False,
    }
    assert (found.size, found.has_leader, found.members[1].role) == (20480, True, "leader")


def test_a_member_that_does_not_serve_clients_still_lists_the_others(paths: Paths) -> None:
    found = look(paths, [{"id": 1, "name": "here-1a2b3c4d", "peerURLs": ["https://192.0.2.1:2380"]}], None)
    assert found
    assert (len(found.members), found.served, found.has_leader) == (1, False, False)


def test_without_a_member_there_is_nothing_to_tell(paths: Paths, tmp_path: Path) -> None:
    assert etcd.look(paths, "https://127.0.0.1:1", "https://127.0.0.1:1") is None
    assert etcd.look(paths_under(tmp_path)) is None
