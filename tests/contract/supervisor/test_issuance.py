"""Certificates as agents get them: chain, subject, names, purpose (supervisor reference §4)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rke2.config.model import ComponentSettings
from rke2.errors import KubeError
from rke2.kube.objects import Object
from rke2.kube.resources import SECRETS
from tests.authorities import new_key
from tests.contract.supervisor.harness import (
    NODE,
    PrivateKey,
    Supervisor,
    csr,
    register,
    supervisor,
    until_known,
)
from tests.contract.supervisor.test_answers import Etcd
from tests.unit.supervisor.client import Answer

AS_NODE2 = {
    "rke2-Node-Name": "Node2",
    "rke2-Node-Password": "secret",
    "rke2-Node-IP": "192.0.2.2,2001:db8::2",
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Supervisor]:
    with supervisor(tmp_path) as found:
        found.become_ready()
        yield found


def order(running: Supervisor, file: str, body: bytes = b"", **changes: str) -> Answer:
    headers = {**AS_NODE2, **{f"rke2-Node-{key}": value for key, value in changes.items()}}
    return running.ask("POST", f"/v1-rke2/{file}", NODE, body=body, headers=headers)


@pytest.mark.parametrize(
    ("file", "ca", "subject", "purpose"),
    [
        ("client-kubelet.crt", "client-ca.crt", "CN=system:node:node2,O=system:nodes", "CLIENT_AUTH"),
        ("serving-kubelet.crt", "server-ca.crt", "CN=node2", "SERVER_AUTH"),
        ("client-kube-proxy.crt", "client-ca.crt", "CN=system:kube-proxy", "CLIENT_AUTH"),
        ("client-rke2-controller.crt", "client-ca.crt", "CN=system:rke2-controller", "CLIENT_AUTH"),
    ],
)
def test_a_certificate_for_a_request(
    running: Supervisor, file: str, ca: str, subject: str, purpose: str
) -> None:
    key = new_key()
    answer = order(running, file, csr(key))
    assert answer.status == 200
    leaf, *bundle = x509.load_pem_x509_certificates(answer.body)
    assert answer.body.endswith(running.pem(ca))
    assert b"PRIVATE KEY" not in answer.body
    leaf.verify_directly_issued_by(bundle[0])
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == subject
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [getattr(ExtendedKeyUsageOID, purpose)]
    assert leaf.not_valid_before_utc == bundle[0].not_valid_before_utc
    assert abs(leaf.not_valid_after_utc - datetime.now(UTC) - timedelta(days=365)) < timedelta(minutes=5)


def test_names_of_a_kubelet(running: Supervisor) -> None:
    leaf = x509.load_pem_x509_certificate(order(running, "serving-kubelet.crt", csr(new_key())).body)
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == ["node2", "localhost"]
    ips = [ip_address(ip) for ip in ("127.0.0.1", "192.0.2.2", "2001:db8::2")]
    assert san.get_values_for_type(x509.IPAddress) == ips


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "file", ["client-kubelet", "serving-kubelet", "client-kube-proxy", "client-rke2-controller"]
)
def test_no_key_is_made_for_an_agent_without_a_signing_request(
    running: Supervisor, method: str, file: str
) -> None:
    before = files_below(running.tls)
    for body in (b"", b"no request", b"-----BEGIN CERTIFICATE REQUEST-----\n"):
        answer = running.ask(method, f"/v1-rke2/{file}.crt", NODE, headers=AS_NODE2, body=body)
        assert answer.status == 400
        assert answer.json["message"].startswith("the body is not a certificate signing request")
        assert "shared-agent-keys" in answer.json["message"]
        assert b"PRIVATE KEY" not in answer.body
    assert files_below(running.tls) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "file", ["client-kubelet", "serving-kubelet", "client-kube-proxy", "client-rke2-controller"]
)
def test_old_agents_share_a_key_if_that_is_allowed(
    tmp_path: Path, method: str, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same for all of them, and never one that the server uses itself."""
    with supervisor(tmp_path, server={"shared_agent_keys": True}) as running:
        running.become_ready()
        own = {path.read_bytes() for path in running.config.paths.data_dir.rglob("*.key")}
        answers = [
            running.ask(
                method, f"/v1-rke2/{file}.crt", NODE, headers={**AS_NODE2, "rke2-Node-Name": f"n{number}"}
            )
            for number in (1, 2)
        ]
    keys = set()
    for answer in answers:
        assert answer.status == 200
        certificates, begin, key = answer.body.partition(b"-----BEGIN EC PRIVATE KEY-----")
        leaf = x509.load_pem_x509_certificate(certificates)
        shared = serialization.load_pem_private_key(begin + key, None)
        assert leaf.public_key() == shared.public_key()
        keys.add(begin + key)
    assert len(keys) == 1
    assert not keys & own
    told = [record for record in caplog.records if "with a private key that others share" in record.message]
    assert [record.levelname for record in told] == ["WARNING", "WARNING"]


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- signing requests ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), id="P-521"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), id="Ed25519"),
        pytest.param(rsa.generate_private_key(65537, 2048), id="RSA-2048"),
    ],
)
def test_keys_that_are_certified(running: Supervisor, key: PrivateKey) -> None:
    leaf = x509.load_pem_x509_certificate(order(running, "client-kubelet.crt", csr(key)).body)
    assert leaf.public_key() == key.public_key()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ec.generate_private_key(ec.SECP224R1()), id="P-224"),
        pytest.param(ec.generate_private_key(ec.SECP256K1()), id="secp256k1"),
        pytest.param(ed448.Ed448PrivateKey.generate(), id="Ed448"),
        pytest.param(dsa.generate_private_key(2048), id="DSA"),
        pytest.param(rsa.generate_private_key(65537, 1024), id="RSA-1024"),
        pytest.param(rsa.generate_private_key(65537, 2040), id="RSA-2040"),
    ],
)
def test_keys_that_are_refused(running: Supervisor, key: PrivateKey) -> None:
    for file in ("client-kubelet.crt", "serving-kubelet.crt", "client-kube-proxy.crt"):
        answer = order(running, file, csr(key))
        assert answer.status == 400
        assert answer.json["message"].startswith(
            "the key of the certificate signing request is not supported"
        )


def test_all_but_the_key_of_a_request_is_ignored(running: Supervisor) -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("kubernetes"), x509.IPAddress(ip_address("10.43.0.1"))])
    extensions = (
        names,
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:admin"),
        ]
    )
    bodies = [csr(new_key()), csr(new_key(), subject, *extensions)]
    for file in ("serving-kubelet.crt", "client-kubelet.crt", "client-kube-proxy.crt"):
        plain, wishful = (x509.load_pem_x509_certificate(order(running, file, body).body) for body in bodies)
        assert wishful.subject == plain.subject
        assert list(wishful.extensions) == list(plain.extensions)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"Name": ""}, 400, "node name not set"),
        ({"Password": ""}, 400, "node password not set"),
        ({"Name": "no/name"}, 400, "node name not valid"),
        ({"Name": "n" * 60}, 400, "node name longer than 52 characters"),
        ({"IP": "192.0.2"}, 500, "Internal error occurred: invalid node IP address"),
    ],
)
def test_unusable_headers(running: Supervisor, changes: dict[str, str], status: int, message: str) -> None:
    answer = order(running, "serving-kubelet.crt", csr(new_key()), **changes)
    assert (answer.status, answer.json["message"]) == (status, message)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(running: Supervisor, chunked: bool) -> None:
    head = "Transfer-Encoding: chunked" if chunked else "Content-Length: 70000"
    body = b"11170\r\n" + b"x" * 70000 + b"\r\n0\r\n\r\n" if chunked else b"x" * 70000
    with running.connect() as connection:
        token = base64.b64encode(NODE.encode()).decode()
        line = f"POST /v1-rke2/client-kube-proxy.crt HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {token}\r\n{head}"
        connection.sendall(f"{line}\r\n\r\n".encode() + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_request_signed_by_another_key(running: Supervisor) -> None:
    body = bytearray(csr(new_key()))
    body[-1] ^= 1
    assert order(running, "client-kube-proxy.crt", bytes(body)).status == 400


# --- node passwords --------------------------------------------------------------------------------
def stored(running: Supervisor, name: str = "node2") -> Object | None:
    return running.run(running.kube.find(SECRETS, f"{name}.node-password.rke2", "kube-system"))


def test_the_first_password_is_kept_as_a_hash(running: Supervisor) -> None:
    assert order(running, "client-kubelet.crt", csr(new_key())).status == 200
    secret = stored(running)
    assert secret
    assert (secret["type"], secret["immutable"]) == ("rke2.cattle.io/node-password", True)
    version, salt, *numbers, key = base64.b64decode(secret["data"]["hash"]).decode().split(":")
    assert (version, numbers) == ("$1", ["15", "8", "1"])
    derived = hashlib.scrypt(b"secret", salt=bytes.fromhex(salt), n=2**15, r=8, p=1, maxmem=2**26, dklen=64)
    assert key == base64.b64encode(derived).decode().rstrip("=")


def test_another_password_is_refused(running: Supervisor) -> None:
    assert order(running, "client-kubelet.crt", csr(new_key())).status == 200
    assert order(running, "client-kubelet.crt", csr(new_key()), Password="other").status == 403
    assert order(running, "serving-kubelet.crt", csr(new_key())).status == 200


def test_a_kubelet_asks_for_itself_and_only_while_its_node_exists(running: Supervisor) -> None:
    key, stem = new_key(), running.config.paths.agent / "client-kubelet"
    password = (running.config.paths.node_config_dir / "password").read_text().strip()
    own = {"rke2-Node-Name": "node1", "rke2-Node-Password": password}
    path, headers = "/v1-rke2/client-kubelet.crt", {**AS_NODE2, **own}
    assert running.ask("POST", path, stem=stem, body=csr(key), headers=AS_NODE2).status == 400
    assert running.ask("POST", path, stem=stem, body=csr(key), headers=headers).status == 401
    register(running, "node1")
    running.run(until_known(running, "node1"))
    assert running.ask("POST", path, stem=stem, body=csr(key), headers=headers).status == 200


def test_an_api_that_does_not_take_the_secret_defers_it(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        running.become_ready()

        def refuse(verb: str, *args: object) -> None:
            if verb == "create" and "node2" in str(args):
                raise KubeError("webhook", status=500)

        running.kube.refuse = refuse
        assert order(running, "client-kubelet.crt", csr(new_key())).status == 200
        assert stored(running) is None


def test_before_the_api_only_the_own_node(tmp_path: Path) -> None:
    with supervisor(tmp_path) as running:
        password = (running.config.paths.node_config_dir / "password").read_text().strip()
        waiting = order(running, "client-kubelet.crt", csr(new_key()))
        assert (waiting.status, waiting.json["message"]) == (503, "runtime core not ready")
        assert (
            order(running, "client-kubelet.crt", csr(new_key()), Name="node1", Password=password).status
            == 200
        )
        assert order(running, "client-kubelet.crt", csr(new_key()), Name="node1").status == 403
        (running.config.paths.node_config_dir / "password").unlink()
        assert order(running, "client-kubelet.crt", csr(new_key()), Name="node1").status == 500


def test_a_server_without_apiserver_verifies_later(tmp_path: Path) -> None:
    without = {"kube-apiserver": ComponentSettings(disabled=True)}
    with supervisor(tmp_path, components=without, etcd=Etcd()) as running:
        assert order(running, "client-kubelet.crt", csr(new_key())).status == 200


def test_the_api_under_its_other_name(running: Supervisor) -> None:
    headers = {key.replace("rke2", "k3s"): value for key, value in AS_NODE2.items()}
    answer = running.ask("POST", "/v1-k3s/client-kubelet.crt", NODE, body=csr(new_key()), headers=headers)
    assert answer.status == 200
    assert running.ask("POST", "/v1-k3s/client-kubelet.crt", NODE, headers=AS_NODE2).status == 400
