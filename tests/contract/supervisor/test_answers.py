"""Bodies and headers of the data routes, byte for byte as the supervisor reference gives them (§2 and §5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import ComponentSettings
from rke2.errors import EtcdError
from rke2.etcd.messages import KeyValue, Member
from rke2.kube.resources import ENDPOINT_SLICES, SECRETS
from rke2.supervisor import dispatch
from tests.contract.supervisor.harness import NODE, SERVER, TOKEN, Supervisor, supervisor


class Etcd:
    """A managed etcd with one member and a few keys."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.down = False

    async def members(self, **_: Any) -> tuple[Member, ...]:
        self._require()
        urls = ("https://192.0.2.1:2380",), ("https://192.0.2.1:2379",)
        return (Member(2**63 + 1, "n1-1a2b3c4d", *urls, True), Member(7, "", urls[0], (), False))

    async def get(self, key: str, **_: Any) -> KeyValue | None:
        self._require()
        return KeyValue(key=key.encode(), value=self.keys[key]) if key in self.keys else None

    async def get_prefix(self, prefix: str, **_: Any) -> tuple[KeyValue, ...]:
        self._require()
        found = [key for key in self.keys if key.startswith(prefix)]
        return tuple(KeyValue(key=key.encode(), value=self.keys[key]) for key in found)

    async def create(self, key: str, value: bytes) -> bool:
        return self.keys.setdefault(key, value) is value

    def _require(self) -> None:
        if self.down:
            raise EtcdError("no answer", code="UNAVAILABLE")


@pytest.fixture
def etcd() -> Etcd:
    return Etcd()


@pytest.fixture
def running(tmp_path: Path, etcd: Etcd) -> Iterator[Supervisor]:
    with supervisor(tmp_path, etcd=etcd) as found:
        yield found


def test_what_everybody_may_read(running: Supervisor) -> None:
    ping, bundle = running.ask("GET", "/ping"), running.ask("GET", "/cacerts")
    assert (ping.status, ping.body) == (200, b"pong")
    assert ping.headers["content-type"].startswith("text/plain")
    assert bundle.body == running.pem("server-ca.crt")
    assert bundle.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_what_only_reads_answers_every_method(running: Supervisor, method: str) -> None:
    """As in RKE2, whose own clients and load balancers of others use more than GET."""
    for path in ("/cacerts", "/v1-rke2/config", "/v1-rke2/server-ca.crt", "/v1-rke2/apiservers"):
        expected, answer = running.ask("GET", path, NODE), running.ask(method, path, NODE)
        assert (answer.status, answer.body) == (200, expected.body), path


@pytest.mark.parametrize("path", ["/ping", "/v1-rke2/server-ca.crt", "/v1-rke2/token", "/nothing"])
def test_no_answer_tells_what_it_was_made_with(running: Supervisor, path: str) -> None:
    assert "server" not in running.ask("GET", path, NODE).headers


def test_nor_does_the_answer_to_what_is_no_request(running: Supervisor) -> None:
    connection = running.connect()
    connection.sendall(b"NOT HTTP\r\n\r\n")
    answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"server:" not in answer.lower()


def test_ca_bundles_are_files(running: Supervisor) -> None:
    for name in ("client-ca.crt", "server-ca.crt"):
        answer = running.ask("GET", f"/v1-rke2/{name}", NODE)
        assert answer.body == running.pem(name)
        assert answer.headers["content-type"].startswith("text/plain")
        assert parsedate_to_datetime(answer.headers["last-modified"])
        headers = {"If-Modified-Since": answer.headers["last-modified"]}
        assert running.ask("GET", f"/v1-rke2/{name}", NODE, headers=headers).status == 304
        part = running.ask("GET", f"/v1-rke2/{name}", NODE, headers={"Range": "bytes=0-9"})
        assert (part.status, part.body) == (206, running.pem(name)[:10])
    (running.tls / "client-ca.crt").unlink()
    assert running.ask("GET", "/v1-rke2/client-ca.crt", NODE).status == 404


def test_static_files_do_not_leave_their_folder(running: Supervisor) -> None:
    static = running.config.paths.server / "static"
    static.mkdir()
    (static / "chart.txt").write_text("hello")
    (static / "out").symlink_to("/etc/passwd")
    assert running.ask("GET", "/static/chart.txt").body == b"hello"
    outside = ("../token", "%2e%2e/token", "..%2ftoken", "/etc/passwd", "%2fetc/passwd", "out", "", "%00")
    assert {running.ask("GET", f"/static/{name}").status for name in outside} == {404}


def test_the_configuration_is_the_control_struct(running: Supervisor) -> None:
    answer = running.ask("GET", "/v1-rke2/config", NODE)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["ClusterIPRange"] == {"IP": "10.42.0.0", "Mask": "//8AAA=="}
    assert answer.json["SupervisorPort"] == 9345
    assert TOKEN.encode() not in answer.body


def test_apiservers_are_those_of_the_api_and_of_etcd(running: Supervisor, etcd: Etcd) -> None:
    assert running.ask("GET", "/v1-rke2/apiservers", NODE).body == b"[]"
    etcd.keys["rke2/apiaddresses"] = b'["192.0.2.9:6443","192.0.2.1:6443"]'
    endpoints = [
        {"addresses": ["192.0.2.1"], "conditions": {"ready": True}},
        {"addresses": ["192.0.2.2"], "conditions": {"ready": False}},
        {"addresses": ["2001:db8::3"]},
    ]
    meta = {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"kubernetes.io/service-name": "kubernetes"},
    }

    async def publish() -> None:
        slices = {"metadata": meta, "endpoints": endpoints, "ports": [{"name": "https", "port": 6443}]}
        running.kube.put(ENDPOINT_SLICES, slices)

    running.run(publish())
    running.become_ready()
    both = ["192.0.2.1:6443", "192.0.2.9:6443", "[2001:db8::3]:6443"]
    assert sorted(running.ask("GET", "/v1-rke2/apiservers", NODE).json) == both
    etcd.down = True
    assert len(running.ask("GET", "/v1-rke2/apiservers", NODE).json) == 2
    etcd.down, etcd.keys["rke2/apiaddresses"] = False, b""
    assert len(running.ask("GET", "/v1-rke2/apiservers", NODE).json) == 2


def test_members_of_etcd(running: Supervisor, etcd: Etcd) -> None:
    answer = running.ask("GET", "/db/info")
    assert answer.body == (
        b'{"members":[{"ID":9223372036854775809,"name":"n1-1a2b3c4d","peerURLs":["https://192.0.2.1:2380"],'
        b'"clientURLs":["https://192.0.2.1:2379"],"isLearner":true},'
        b'{"ID":7,"peerURLs":["https://192.0.2.1:2380"]}]}'
    )
    etcd.down = True
    failed = running.ask("GET", "/db/info")
    assert failed.status == 500
    assert failed.json["message"].startswith("Internal error occurred: etcd error ID ")
    assert len(failed.json["message"].rpartition(" ")[2]) == 5


def test_members_are_told_to_servers_only_when_asked_from_elsewhere(
    running: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_is_local", lambda request: False)
    assert running.ask("GET", "/db/info").status == 403
    assert running.ask("GET", "/db/info", NODE).status == 403
    assert running.ask("GET", "/db/info", "server:wrong").status == 401
    assert running.ask("GET", "/db/info", SERVER).json["members"][0]["ID"] == 2**63 + 1


@pytest.mark.parametrize(
    ("method", "path", "user", "code", "reason", "message"),
    [
        ("GET", "/v1-rke2/readyz", NODE, 503, "ServiceUnavailable", "runtime core not ready"),
        ("GET", "/api/v1/nodes", "", 503, "ServiceUnavailable", "apiserver not ready"),
        ("PUT", "/db/info", NODE, 405, "MethodNotAllowed", "PUT is not allowed"),
        ("GET", "/static/none", "", 404, "NotFound", "not found"),
        ("POST", "/v1-rke2/client-kubelet.crt", NODE, 400, "BadRequest", "node name not set"),
        ("GET", "/v1-rke2/config", "node:no", 401, "Unauthorized", "not authorized"),
        ("GET", "/v1-rke2/token", "", 403, "Forbidden", "forbidden"),
    ],
)
def test_errors_are_statuses(
    running: Supervisor, method: str, path: str, user: str, code: int, reason: str, message: str
) -> None:
    answer = running.ask(method, path, user)
    told = {key: answer.json[key] for key in ("kind", "apiVersion", "status", "message", "reason", "code")}
    assert told == {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    assert answer.status == code


def test_bootstrap_data_of_the_disk(running: Supervisor, etcd: Etcd) -> None:
    etcd.down = True
    data = running.ask("GET", "/v1-rke2/server-bootstrap", SERVER).json
    assert data["ServerCA"].keys() == {"Timestamp", "Content"}
    assert {"ETCDPeerCAKey", "ClientCAKey", "ServiceKey", "PasswdFile", "IPSECKey"} <= data.keys()


def test_bootstrap_data_of_etcd(running: Supervisor, etcd: Etcd) -> None:
    from rke2.join.bootstrap import BootstrapData, BootstrapEntry
    from rke2.join.store import BootstrapStore

    data = BootstrapData({"ServerCA": BootstrapEntry(b"stored", 1_700_000_000_000_000_000)})
    assert running.run(BootstrapStore(etcd, TOKEN).save(data))  # type: ignore[arg-type]
    answer = running.ask("GET", "/v1-rke2/server-bootstrap", SERVER)
    assert answer.json == {"ServerCA": {"Timestamp": "2023-11-14T22:13:20Z", "Content": "c3RvcmVk"}}


def test_bootstrap_tokens(running: Supervisor) -> None:
    from rke2.join.bootstrap_tokens import new_token

    token = new_token()
    bearer = {"Authorization": f"Bearer {token}"}

    async def publish() -> None:
        running.kube.put(SECRETS, token.to_secret())

    running.run(publish())
    assert running.ask("GET", "/v1-rke2/client-ca.crt", headers=bearer).status == 401
    running.become_ready()
    assert running.ask("GET", "/v1-rke2/client-ca.crt", headers=bearer).status == 200
    assert running.ask("GET", "/v1-rke2/server-bootstrap", headers=bearer).status == 403
    other = {"Authorization": f"Bearer {token.id}.0123456789abcdef"}
    assert running.ask("GET", "/v1-rke2/client-ca.crt", headers=other).status == 401
    unknown = {"Authorization": "Bearer abcdef.0123456789abcdef"}
    assert running.ask("GET", "/v1-rke2/client-ca.crt", headers=unknown).status == 401


def test_without_an_apiserver(tmp_path: Path) -> None:
    with supervisor(tmp_path, components={"kube-apiserver": ComponentSettings(disabled=True)}) as running:
        answer = running.ask("GET", "/api/v1/nodes")
        assert (answer.status, answer.json["message"]) == (503, "apiserver disabled")
        assert json.loads(answer.body)["reason"] == "ServiceUnavailable"
