"""What a joining node sends and believes, on the wire (supervisor reference §3.6 and §5.4)."""

from __future__ import annotations

import base64
import json
import logging
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.errors import JoinError
from rke2.join import cached, client, transport
from rke2.join.as_server import fetch_bootstrap
from rke2.join.client import connect
from rke2.join.cluster_config.encode import encode_config
from rke2.join.credentials import ensure_server_credentials
from rke2.join.remote_signer import RemoteSigner
from rke2.join.tokens import ca_hash
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.catalog import AGENT_LEAVES
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config
from tests.contract.join.wire import Handler, Request, Wire, answer, serving

AGENT_FILES = ("serving-kubelet", "client-kubelet", "client-kube-proxy", "client-rke2-controller")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> NodeConfig:
    return made_cluster(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="session")
def other_cluster(tmp_path_factory: pytest.TempPathFactory) -> NodeConfig:
    return made_cluster(tmp_path_factory.mktemp("other"))


def made_cluster(root: Path) -> NodeConfig:
    config = server_config(paths_under(root), server={"token": "secret"})
    ensure_server_pki(config)
    ensure_server_credentials(config)
    tls = config.paths.tls
    pair = (tls / "serving-kube-apiserver.crt").read_bytes() + (
        tls / "serving-kube-apiserver.key"
    ).read_bytes()
    (tls / "wire.pem").write_bytes(pair)
    return config


def bundle_of(config: NodeConfig) -> bytes:
    return (config.paths.tls / "server-ca.crt").read_bytes()


def token_of(config: NodeConfig, credential: str = "server:secret") -> str:
    return f"K10{ca_hash(bundle_of(config))}::{credential}"


def handlers_of(config: NodeConfig) -> dict[str, Handler]:
    """A server that is up."""
    tls = config.paths.tls
    signer = LocalSigner(replace(config, node=replace(config.node, name="agent1")))

    def sign(request: Request) -> bytes:
        leaf = next(leaf for leaf in AGENT_LEAVES if request.path.endswith(f"/{leaf.file}.crt"))
        coroutine = signer.sign(leaf, request.body)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return answer(done.value)
        raise AssertionError("signing waits for nothing")

    return {
        "/cacerts": lambda _: answer(bundle_of(config)),
        "/v1-rke2/config": lambda _: answer(json.dumps(encode_config(config)).encode()),
        "/v1-rke2/client-ca.crt": lambda _: answer((tls / "client-ca.crt").read_bytes()),
        "/v1-rke2/server-ca.crt": lambda _: answer(bundle_of(config)),
        "/v1-rke2/readyz": lambda _: answer(b"ok"),
        "/v1-rke2/apiservers": lambda _: answer(b'["192.0.2.1:6443"]'),
        **{f"/v1-rke2/{file}.crt": sign for file in AGENT_FILES},
    }


@pytest.fixture
def wire(cluster: NodeConfig) -> Iterator[Wire]:
    tls = cluster.paths.tls
    with serving(tls / "wire.pem", tls / "client-ca.crt", handlers_of(cluster)) as server:
        yield server


def agent_of(root: Path) -> NodeConfig:
    return server_config(paths_under(root), node={"name": "agent1"})


async def joined(wire: Wire, cluster: NodeConfig, agent: NodeConfig) -> None:
    """The requests of a joining agent."""
    identity = agent.paths.agent / "client-kubelet"
    supervisor = await connect(wire.url, token_of(cluster), "node", identity=identity)
    cached.store(agent, await supervisor.config())
    await ensure_agent_pki(agent, RemoteSigner(supervisor, agent.node, "nodepassword"))


# --- trust -----------------------------------------------------------------------------------------
async def test_the_ca_is_asked_for_and_then_verified(wire: Wire, cluster: NodeConfig) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    assert supervisor.bundle == bundle_of(cluster)
    assert wire.asked() == ["GET /cacerts", "GET /cacerts"], "the first attempt ends in the handshake"
    for request in wire.requests:
        assert "authorization" not in request.headers
        assert request.headers["connection"] == "close"
        assert request.certificate == ""


async def test_a_server_the_machine_trusts_is_believed(
    wire: Wire, cluster: NodeConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(cluster.paths.tls / "server-ca.crt"))
    supervisor = await connect(wire.url, f"K10{'0' * 64}::server:secret", "node")
    assert supervisor.bundle is None
    assert wire.asked() == ["GET /cacerts"]
    assert "not looked at" in caplog.text
    assert await supervisor.apiservers() == ["192.0.2.1:6443"]


@pytest.fixture(autouse=True)
def warnings_are_news() -> None:
    client._warn_once.cache_clear()


async def test_a_wrong_hash_ends_it(wire: Wire, cluster: NodeConfig, other_cluster: NodeConfig) -> None:
    with pytest.raises(JoinError, match="token CA hash does not match") as caught:
        await connect(wire.url, token_of(other_cluster), "node")
    assert caught.value.final
    assert f"{ca_hash(bundle_of(other_cluster))} != {ca_hash(bundle_of(cluster))}" in caught.value.message
    assert caught.value.message.startswith(f"failed to validate connection to cluster at {wire.url}: ")


async def test_a_token_without_hash_is_warned_of_once(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await connect(wire.url, "secret", "node")
        await connect(wire.url, "secret", "node")
    assert caplog.text.count("no CA hash") == 1


async def test_the_certificate_must_be_of_the_bundle_that_is_served(
    wire: Wire, cluster: NodeConfig, other_cluster: NodeConfig
) -> None:
    wire.handlers["/cacerts"] = lambda _: answer(bundle_of(other_cluster))
    with pytest.raises(JoinError, match="certificate is not trusted"):
        await connect(wire.url, token_of(other_cluster), "node")


async def test_later_requests_go_to_nobody_else(
    wire: Wire, cluster: NodeConfig, other_cluster: NodeConfig
) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    tls = other_cluster.paths.tls
    with serving(tls / "wire.pem", tls / "client-ca.crt", handlers_of(other_cluster)) as impostor:
        lured = client.Supervisor(impostor.url, supervisor.credentials, supervisor.bundle)
        with pytest.raises(JoinError, match="certificate is not trusted"):
            await lured.config()
        assert impostor.requests == []


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
async def test_garbage_for_a_bundle(wire: Wire, body: bytes) -> None:
    wire.handlers["/cacerts"] = lambda _: answer(body)
    with pytest.raises(JoinError, match="holds no CA certificate"):
        await connect(wire.url, "secret", "node")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9345", "127.0.0.1:9345", "https://", "", "https://a:b:c/"])
async def test_only_https_urls(url: str) -> None:
    with pytest.raises(JoinError):
        await connect(url, "secret", "node")


async def test_nobody_there(wire: Wire) -> None:
    with pytest.raises(
        JoinError, match=r"failed to validate connection to cluster at https://127\.0\.0\.1:1: "
    ) as caught:
        await connect("https://127.0.0.1:1", "secret", "node")
    assert (caught.value.status, caught.value.final) == (0, False)
    assert caught.value.remedy


# --- who asks --------------------------------------------------------------------------------------
def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("credential", "user", "header"),
    [
        ("server:secret", "node", basic("node:secret")),
        ("node:secret", "server", basic("server:secret")),
        ("abcdef.0123456789abcdef", "node", "Bearer abcdef.0123456789abcdef"),
    ],
)
async def test_the_role_overrides_the_user_of_the_token(
    wire: Wire, cluster: NodeConfig, credential: str, user: str, header: str
) -> None:
    await (await connect(wire.url, token_of(cluster, credential), user)).ready()
    assert wire.requests[-1].headers["authorization"] == header


# --- joining ---------------------------------------------------------------------------------------
async def test_the_requests_of_an_agent_in_their_order(
    wire: Wire, cluster: NodeConfig, tmp_path: Path
) -> None:
    agent = agent_of(tmp_path)
    await joined(wire, cluster, agent)
    assert wire.asked()[2:] == [
        "GET /v1-rke2/config",
        "GET /v1-rke2/client-ca.crt",
        "GET /v1-rke2/server-ca.crt",
        *(f"POST /v1-rke2/{file}.crt" for file in AGENT_FILES),
    ]
    for file in AGENT_FILES:
        certificate = x509.load_pem_x509_certificate((agent.paths.agent / f"{file}.crt").read_bytes())
        body = wire.last(f"/v1-rke2/{file}.crt").body
        assert x509.load_der_x509_csr(body).public_key() == certificate.public_key(), "DER, not PEM"
    assert cached.load(agent) is not None


async def test_only_the_kubelets_certificates_name_the_node(
    wire: Wire, cluster: NodeConfig, tmp_path: Path
) -> None:
    await joined(wire, cluster, agent_of(tmp_path))
    serving_kubelet = wire.last("/v1-rke2/serving-kubelet.crt")
    assert serving_kubelet.headers["rke2-node-name"] == "agent1"
    assert serving_kubelet.headers["rke2-node-password"] == "nodepassword"
    assert serving_kubelet.headers["rke2-node-ip"] == "192.0.2.1"
    client_kubelet = wire.last("/v1-rke2/client-kubelet.crt")
    assert client_kubelet.headers["rke2-node-name"] == "agent1"
    assert "rke2-node-ip" not in client_kubelet.headers
    for file in ("client-kube-proxy", "client-rke2-controller"):
        assert not [name for name in wire.last(f"/v1-rke2/{file}.crt").headers if name.startswith("rke2-")]


async def test_a_second_start_shows_the_certificate_and_needs_no_new_ones(
    wire: Wire, cluster: NodeConfig, tmp_path: Path
) -> None:
    agent = agent_of(tmp_path)
    await joined(wire, cluster, agent)
    wire.requests.clear()
    await joined(wire, cluster, agent)
    assert [request.method for request in wire.requests] == ["GET"] * 5
    assert {request.certificate for request in wire.requests[2:]} == {"system:node:agent1"}


async def test_a_refused_certificate_is_left_away(wire: Wire, cluster: NodeConfig, tmp_path: Path) -> None:
    agent = agent_of(tmp_path)
    await joined(wire, cluster, agent)
    config = wire.handlers["/v1-rke2/config"]
    wire.handlers["/v1-rke2/config"] = lambda request: (
        answer(status=401) if request.certificate else config(request)
    )
    wire.requests.clear()
    await joined(wire, cluster, agent)
    assert [request.certificate for request in wire.requests if request.path == "/v1-rke2/config"] == [
        "system:node:agent1",
        "",
    ]


async def test_a_certificate_of_another_cluster_is_left_away(
    wire: Wire, cluster: NodeConfig, other_cluster: NodeConfig, tmp_path: Path
) -> None:
    agent = agent_of(tmp_path)
    stranger = replace(other_cluster, node=agent.node)
    await ensure_agent_pki(agent, LocalSigner(stranger))
    await joined(wire, cluster, agent)
    assert wire.last("/v1-rke2/config").certificate == ""


async def test_a_401_without_certificate_is_not_repeated(wire: Wire, cluster: NodeConfig) -> None:
    wire.handlers["/v1-rke2/config"] = lambda _: answer(b'{"kind":"Status","message":"not authorized"}', 401)
    supervisor = await connect(wire.url, token_of(cluster), "node")
    with pytest.raises(JoinError, match="401 Unauthorized: not authorized") as caught:
        await supervisor.config()
    assert caught.value.status == 401
    assert wire.asked().count("GET /v1-rke2/config") == 1


async def test_a_rejected_node_password_is_explained(wire: Wire, cluster: NodeConfig, tmp_path: Path) -> None:
    wire.handlers["/v1-rke2/serving-kubelet.crt"] = lambda _: answer(status=403)
    with pytest.raises(JoinError, match="has a node named agent1 already") as caught:
        await joined(wire, cluster, agent_of(tmp_path))
    assert caught.value.status == 403
    assert "/etc/rancher/node/password" in caught.value.remedy
    assert "with-node-id" in caught.value.remedy


async def test_a_certificate_for_another_key_is_not_kept(
    wire: Wire, cluster: NodeConfig, tmp_path: Path
) -> None:
    wire.handlers["/v1-rke2/client-kubelet.crt"] = lambda _: answer(bundle_of(cluster))
    agent = agent_of(tmp_path)
    with pytest.raises(JoinError, match="another key"):
        await joined(wire, cluster, agent)
    assert not (agent.paths.agent / "client-kubelet.crt").exists()


# --- bad servers -----------------------------------------------------------------------------------
async def test_a_slow_server(wire: Wire, cluster: NodeConfig) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")

    def slow(_: Request) -> bytes:
        wire.stopped.wait(60)
        return answer(b"{}")

    wire.handlers["/v1-rke2/config"] = slow
    with pytest.raises(JoinError, match=r"no answer within 0\.2 s"):
        await supervisor.request("GET", "/v1-rke2/config", seconds=0.2)


async def test_timeouts_are_those_of_the_reference() -> None:
    assert (client.REQUEST_SECONDS, client.BOOTSTRAP_SECONDS) == (10, 15)


async def test_an_oversized_answer(wire: Wire, cluster: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 1 << 20)
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/config"] = lambda _: answer(b"x" * (2 << 20))
    with pytest.raises(JoinError, match="larger than 1 MiB"):
        await supervisor.config()


async def test_compressed_answers_are_not_inflated(wire: Wire, cluster: NodeConfig) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/config"] = lambda _: answer(b"\x1f\x8b\x08", Content_Encoding="gzip")
    with pytest.raises(JoinError, match="not JSON"):
        await supervisor.config()
    assert wire.requests[-1].headers["accept-encoding"] == "identity"


async def test_redirects_are_not_followed(wire: Wire, cluster: NodeConfig) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/config"] = lambda _: answer(status=302, Location=f"{wire.url}/elsewhere")
    with pytest.raises(JoinError, match="302") as caught:
        await supervisor.config()
    assert caught.value.status == 302
    assert "GET /elsewhere" not in wire.asked()


@pytest.mark.parametrize(
    "raw", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_what_is_not_http(wire: Wire, cluster: NodeConfig, raw: bytes) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/config"] = lambda _: raw
    with pytest.raises(JoinError, match=f"GET {wire.url}/v1-rke2/config"):
        await supervisor.config()


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"null", b"\xff", b"[" * 100_000])
async def test_answers_that_are_no_object(wire: Wire, cluster: NodeConfig, body: bytes) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    for path in ("/v1-rke2/config", "/db/info", "/v1-rke2/server-bootstrap"):
        wire.handlers[path] = lambda _: answer(body)
    for ask in (supervisor.config, supervisor.etcd_members, supervisor.server_bootstrap):
        with pytest.raises(JoinError, match="unusable"):
            await ask()


async def test_ids_of_members_are_exact(wire: Wire, cluster: NodeConfig) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "server")
    wire.handlers["/db/info"] = lambda _: answer(b'{"members":[{"ID":18446744073709551615}]}')
    assert await supervisor.etcd_members() == [{"ID": 2**64 - 1}]


async def test_an_error_text_stays_on_one_short_line(wire: Wire, cluster: NodeConfig) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/readyz"] = lambda _: answer(b"a\r\n\x1b[31mb" + b"c" * 10_000, 503)
    with pytest.raises(JoinError) as caught:
        await supervisor.ready()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


async def test_warnings_of_the_server_are_told(
    wire: Wire, cluster: NodeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/readyz"] = lambda _: answer(b"ok", Warning='299 - "old release"')
    await supervisor.ready()
    assert "old release" in caplog.text


async def test_a_warning_is_told_once(
    wire: Wire, cluster: NodeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """Several requests in a row get it."""
    supervisor = await connect(wire.url, token_of(cluster), "node")
    wire.handlers["/v1-rke2/readyz"] = lambda _: answer(b"ok", Warning='299 - "token has changed"')
    for _ in range(3):
        await supervisor.ready()
    assert caplog.text.count("token has changed") == 1


@pytest.mark.parametrize("user", ["node", "server"])
async def test_a_refused_token_names_the_right_file(wire: Wire, cluster: NodeConfig, user: str) -> None:
    supervisor = await connect(wire.url, token_of(cluster), user)
    wire.handlers["/v1-rke2/config"] = lambda _: answer(status=401)
    with pytest.raises(JoinError) as error:
        await supervisor.config()
    assert "it may have been changed" in error.value.remedy
    assert "rke2/server/agent-token" in error.value.remedy
    assert "server/token" in error.value.remedy


# --- joining servers -------------------------------------------------------------------------------
async def test_a_server_compares_settings_and_takes_the_keys(
    wire: Wire, cluster: NodeConfig, tmp_path: Path
) -> None:
    wire.handlers["/v1-rke2/server-bootstrap"] = lambda _: answer(bootstrap_of(cluster))
    joining = server_config(paths_under(tmp_path), node={"name": "node2"})
    supervisor = await connect(wire.url, token_of(cluster), "server")
    await fetch_bootstrap(supervisor, joining)
    assert wire.asked()[2:] == ["GET /v1-rke2/config", "GET /v1-rke2/server-bootstrap"]
    assert wire.last("/v1-rke2/config").headers["authorization"] == basic("node:secret")
    assert wire.last("/v1-rke2/server-bootstrap").headers["authorization"] == basic("server:secret")
    for file in ("tls/client-ca.key", "tls/etcd/peer-ca.crt", "cred/passwd", "tls/service.key"):
        ours, theirs = joining.paths.server / file, cluster.paths.server / file
        assert ours.read_bytes() == theirs.read_bytes()
        assert ours.stat().st_mtime_ns == theirs.stat().st_mtime_ns


def bootstrap_of(config: NodeConfig) -> bytes:
    from rke2.join.bootstrap import BootstrapData

    return BootstrapData.read(config.paths.server).to_json()


async def test_a_server_that_differs_takes_nothing(wire: Wire, cluster: NodeConfig, tmp_path: Path) -> None:
    joining = server_config(paths_under(tmp_path), network={"cluster_domain": "example.org"})
    supervisor = await connect(wire.url, token_of(cluster), "server")
    with pytest.raises(
        JoinError, match="critical configuration value mismatch between servers: cluster-domain"
    ):
        await fetch_bootstrap(supervisor, joining)
    assert wire.asked()[2:] == ["GET /v1-rke2/config"]
    assert not joining.paths.server.exists()


async def test_settings_that_cannot_be_compared_only_warn(
    wire: Wire, cluster: NodeConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire.handlers["/v1-rke2/config"] = lambda _: answer(status=503)
    wire.handlers["/v1-rke2/server-bootstrap"] = lambda _: answer(bootstrap_of(cluster))
    joining = server_config(paths_under(tmp_path))
    await fetch_bootstrap(await connect(wire.url, token_of(cluster), "server"), joining)
    assert "Cannot compare" in caplog.text
    assert (joining.paths.tls / "client-ca.key").exists()


async def test_another_agent_token_than_the_cluster_has_is_told(
    wire: Wire, cluster: NodeConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire.handlers["/v1-rke2/config"] = lambda _: answer(status=401)
    wire.handlers["/v1-rke2/server-bootstrap"] = lambda _: answer(bootstrap_of(cluster))
    joining = server_config(paths_under(tmp_path), server={"agent_token": "another"})
    await fetch_bootstrap(await connect(wire.url, token_of(cluster), "server"), joining)
    assert "agent-token is not what it is on" in caplog.text
    assert (joining.paths.tls / "client-ca.key").exists()


async def test_a_separate_agent_token_asks_for_the_settings(
    wire: Wire, cluster: NodeConfig, tmp_path: Path
) -> None:
    wire.handlers["/v1-rke2/server-bootstrap"] = lambda _: answer(bootstrap_of(cluster))
    joining = server_config(paths_under(tmp_path), server={"agent_token": "agents-only"})
    await fetch_bootstrap(await connect(wire.url, token_of(cluster), "server"), joining)
    assert wire.last("/v1-rke2/config").headers["authorization"] == basic("node:agents-only")


def test_anchors_may_be_intermediate(cluster: NodeConfig) -> None:
    assert transport.cluster_trust(bundle_of(cluster)).verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
