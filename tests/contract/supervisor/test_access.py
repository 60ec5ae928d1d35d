"""Who gets which status from which route: supervisor reference §2 and §3.1 as a table, asked for over the wire."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID

from rke2.config.model import NodeConfig
from rke2.join.credentials import further_agent_passwords
from tests.contract.supervisor.harness import (
    NODE,
    SERVER,
    TOKEN,
    Supervisor,
    certified,
    foreign,
    out_of_time,
    supervisor,
)
from tests.golden import assert_golden

HERE = Path(__file__).parent
NAME, GROUP = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME
TWO_NAMES = (
    (NAME, "system:node:node1"),
    (GROUP, "system:nodes"),
    (GROUP, "system:masters"),
    (NAME, "system:admin"),
)
TWO_GROUPS = ((GROUP, "developers"), (GROUP, "system:nodes"), (NAME, "system:node:node1"))
REQUESTS = (
    ("GET", "/cacerts"),
    ("POST", "/cacerts"),
    ("GET", "/ping"),
    ("POST", "/ping"),
    ("GET", "/static/nothing"),
    ("GET", "/v1-rke2/server-bootstrap"),
    ("GET", "/v1-rke2/encrypt/status"),
    ("POST", "/v1-rke2/snapshot/verify"),
    ("GET", "/v1-rke2/etcd"),
    ("POST", "/v1-rke2/etcd/exchange"),
    ("GET", "/v1-rke2/restore"),
    ("POST", "/v1-rke2/restore/begin"),
    ("POST", "/v1-rke2/restore/stop"),
    ("PUT", "/v1-rke2/encrypt/config"),
    ("PUT", "/v1-rke2/cert/cacerts"),
    ("PUT", "/v1-rke2/token"),
    ("GET", "/v1-rke2/token"),
    ("GET", "/db/info"),
    ("POST", "/db/info"),
    ("POST", "/db/snapshot"),
    ("GET", "/v1-rke2/connect"),
    ("POST", "/v1-rke2/serving-kubelet.crt"),
    ("POST", "/v1-rke2/client-kubelet.crt"),
    ("POST", "/v1-rke2/client-kube-proxy.crt"),
    ("POST", "/v1-rke2/client-rke2-controller.crt"),
    ("DELETE", "/v1-rke2/client-kube-proxy.crt"),
    ("GET", "/v1-rke2/client-ca.crt"),
    ("GET", "/v1-rke2/server-ca.crt"),
    ("GET", "/v1-rke2/apiservers"),
    ("GET", "/v1-rke2/config"),
    ("DELETE", "/v1-rke2/config"),
    ("GET", "/v1-rke2/readyz"),
    ("GET", "/v1-k3s/readyz"),
    ("POST", "/v1-k3s/client-k3s-controller.crt"),
    ("GET", "/v1-rke2/nothing"),
    ("GET", "//ping"),
    ("CONNECT", "127.0.0.1:1"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with supervisor(tmp_path_factory.mktemp("supervisor")) as found:
        yield found


def clients(running: Supervisor, folder: Path) -> dict[str, tuple[str, Path | None]]:
    day = timedelta(days=1)
    agent = running.config.paths.agent
    return {
        "nobody": ("", None),
        "wrong password": ("node:wrong", None),
        "no such user": ("other:for agents", None),
        "node": (NODE, None),
        "server": (SERVER, None),
        "kubelet": ("", agent / "client-kubelet"),
        "expired kubelet": ("", out_of_time(running.tls, folder, "expired", -2 * day, -day)),
        "future kubelet": ("", out_of_time(running.tls, folder, "future", day, 2 * day)),
        "expired, node": (NODE, folder / "expired"),
        "kubelet, wrong": ("node:wrong", agent / "client-kubelet"),
        "kube-proxy": ("", agent / "client-kube-proxy"),
        "apiserver": ("", running.tls / "client-kube-apiserver"),
        "foreign": ("", foreign(folder)),
        "two names": ("", certified(running.tls, folder / "two", TWO_NAMES)),
        "two groups": ("", certified(running.tls, folder / "groups", TWO_GROUPS)),
    }


def test_who_may_ask_what(running: Supervisor, tmp_path: Path) -> None:
    columns = clients(running, tmp_path)
    before = table(running, columns)
    running.become_ready()
    text = f"Before there is a Kubernetes API:\n\n{before}\nAfterwards:\n\n{table(running, columns)}"
    assert_golden(HERE / "access.txt", text)


def table(running: Supervisor, columns: dict[str, tuple[str, Path | None]]) -> str:
    rows = [["", *columns]]
    for method, path in REQUESTS:
        cells = [status(running, method, path, *client) for client in columns.values()]
        rows.append([f"{method} {path}", *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def status(running: Supervisor, method: str, path: str, user: str, stem: Path | None) -> str:
    """The status; ``tls`` if the handshake fails, ``end`` if the connection was ended."""
    try:
        return str(running.ask(method, path, user, stem=stem).status)
    except (ssl.SSLError, ConnectionError):
        return "tls"


@pytest.mark.parametrize(
    ("user", "code", "message"), [("", 403, "forbidden"), ("node:no", 401, "not authorized")]
)
def test_refusals_are_statuses_without_detail(
    running: Supervisor, user: str, code: int, message: str
) -> None:
    answer = running.ask("GET", "/v1-rke2/config", user)
    reason = "Forbidden" if code == 403 else "Unauthorized"
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def test_a_valid_certificate_of_another_purpose_ends_the_handshake(running: Supervisor) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        running.ask("GET", "/ping", stem=running.tls / "serving-kube-apiserver")


# --- agent tokens ----------------------------------------------------------------------------------
def test_without_an_agent_token_both_tokens_let_agents_join(tmp_path: Path) -> None:
    """As operators of RKE2 give agents the server token; the one made for agents lets no server join."""
    with supervisor(tmp_path, agent_token="") as running:
        (made,) = further_agent_passwords(running.config)
        path = "/v1-rke2/config"
        users = (f"node:{TOKEN}", f"node:{made}", f"server:{made}", "node:for agents", "node:")
        assert [running.ask("GET", path, user).status for user in users] == [200, 200, 401, 401, 401]
        assert running.ask("GET", "/v1-rke2/server-bootstrap", f"node:{made}").status == 403


def test_an_agent_token_is_the_only_one(running: Supervisor) -> None:
    made = further_agent_passwords(replace_token(running.config))
    assert [running.ask("GET", "/v1-rke2/config", f"node:{each}").status for each in (*made, TOKEN)] == [
        401,
        401,
    ]


def replace_token(config: NodeConfig) -> NodeConfig:
    """The same server without its setting."""
    assert config.server
    return replace(config, server=replace(config.server, agent_token=""))


@pytest.mark.parametrize(
    ("user", "told"), [("node:changed since", True), ("server:wrong", True), (NODE, False), ("", False)]
)
def test_a_node_whose_token_is_not_valid_any_more_is_told(running: Supervisor, user: str, told: bool) -> None:
    """Its certificate lets it in, and it logs the header; once that has ended, nothing would let it in."""
    kubelet = running.config.paths.agent / "client-kubelet"
    answer = running.ask("GET", "/v1-rke2/config", user, stem=kubelet)
    assert answer.status == 200
    warning = answer.headers.get("warning", "")
    assert warning.startswith('299 - "token is not valid any more') is told
    assert bool(warning) is told
