"""Who may come to port 9345 and who may not: each kind of credential, made from what a running pair of nodes has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

from rke2.config.paths import Paths
from tests.cluster.members import AGENT_TOKEN, Members
from tests.cluster.security.wire import NOBODY, Credential

PATHS = Paths()
CN, O, OU = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME  # noqa: E741
Name = tuple[tuple[ObjectIdentifier, str], ...]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOOTSTRAP = ("5ec0de", "0123456789abcdef")
"""Id and secret of the bootstrap token of these tests."""


@dataclass(frozen=True)
class Keys:
    """A CA with its key, which signs whatever a test wants."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, directory: Path, name: str) -> Keys:
        key = load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        certificate = x509.load_pem_x509_certificates((directory / f"{name}.crt").read_bytes())[0]
        return cls(certificate, key)

    @classmethod
    def new(cls) -> Keys:
        """A CA nobody knows, with the name of the cluster's."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(((CN, "rke2-client-ca@1"),))
        return cls(_sign(name, name, key, key, timedelta(days=1), HOUR), key)

    def issue(self, name: Name, ends: timedelta = HOUR, began: timedelta = HOUR) -> str:
        """Certificate and key in PEM for a client called `name`.

        Args:
            ends: from now.
            began: before now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        made = _sign(_name(name), self.certificate.subject, key, self.key, ends, began)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (made.public_bytes(Encoding.PEM) + private).decode()


def _name(parts: Name) -> x509.Name:
    # One relative name each: what Go's certificate parser flattens.
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    ends: timedelta,
    began: timedelta,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), now - began, now + ends
    )
    client = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(client, critical=False).sign(issuer_key, hashes.SHA256())


Make = Callable[[Members], Credential]


def every(pair: Members) -> dict[str, Credential]:
    """The credentials of the tables, by name."""
    ca = Keys.read(pair["server-0"].node.host.path(PATHS.tls), "client-ca")
    node = "system:node:agent-0"
    made = [
        NOBODY,
        Credential.basic("wrong token", "node", "wrong-token-wrong-token"),
        Credential.basic("wrong user", "root", AGENT_TOKEN),
        Credential.basic("agent token as server", "server", AGENT_TOKEN),
        Credential.basic("server token as node", "node", pair.lab.token),
        Credential("wrong bootstrap token", f"Bearer {BOOTSTRAP[0]}.fedcba9876543210"),
        Credential("service account", f"Bearer {service_account_token(pair)}"),
        Credential.basic("agent token", "node", AGENT_TOKEN),
        Credential("bootstrap token", f"Bearer {'.'.join(BOOTSTRAP)}"),
        Credential.basic("server token", "server", pair.lab.token),
        _of(pair, "agent-0", PATHS.agent, "client-kubelet", "kubelet"),
        _of(pair, "agent-0", PATHS.agent, "client-kube-proxy", "kube-proxy"),
        _of(pair, "agent-0", PATHS.agent, "client-rke2-controller", "rke2-controller"),
        _of(pair, "server-0", PATHS.tls, "client-controller", "controller-manager"),
        _of(pair, "server-0", PATHS.tls, "client-scheduler", "scheduler"),
        _of(pair, "server-0", PATHS.tls, "client-admin", "admin"),
        _of(pair, "server-0", PATHS.tls, "client-supervisor", "supervisor"),
        _of(pair, "server-0", PATHS.tls, "client-kube-apiserver", "kube-apiserver"),
        Credential("two names", pem=ca.issue(((CN, node), (CN, "system:admin"), (O, "system:masters")))),
        Credential("same name twice", pem=ca.issue(((CN, node), (CN, node), (O, "system:nodes")))),
        Credential("no name", pem=ca.issue(((O, "system:nodes"), (O, "system:masters")))),
        Credential("unit instead of group", pem=ca.issue(((CN, node), (OU, "system:masters")))),
        Credential("expired", pem=ca.issue(((CN, "system:admin"), (O, "system:masters")), -HOUR, 2 * HOUR)),
        Credential(
            "not yet valid", pem=ca.issue(((CN, "system:admin"), (O, "system:masters")), 3 * DAY, -2 * DAY)
        ),
        Credential("another CA's", pem=Keys.new().issue(((CN, "system:admin"), (O, "system:masters")))),
    ]
    return {each.name: each for each in made}


def _of(pair: Members, member: str, directory: Path, file: str, name: str) -> Credential:
    where = pair[member].node.host.path(directory)
    return Credential(name, pem="\n".join((where / f"{file}.{end}").read_text() for end in ("crt", "key")))


def service_account_token(pair: Members) -> str:
    """A token of the API server's, which is no credential of port 9345."""
    return pair.kubectl("--namespace", "kube-system", "create", "token", "default").strip()


def bootstrap_token_secret() -> str:
    """The Secret of the bootstrap token, as JSON for kubectl."""
    data = {
        "token-id": BOOTSTRAP[0],
        "token-secret": BOOTSTRAP[1],
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:rke2:default-node-token",
    }
    meta = {"name": f"bootstrap-token-{BOOTSTRAP[0]}", "namespace": "kube-system"}
    kind = "bootstrap.kubernetes.io/token"
    return json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": meta, "stringData": data}
    )
