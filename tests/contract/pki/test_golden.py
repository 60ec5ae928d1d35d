"""The files of a server's first start, compared with what RKE2 puts there (layout reference §1 and §2)."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from rke2.config.model import NodeConfig
from rke2.join.credentials import ensure_server_credentials
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.kubeconfigs import (
    ensure_admin_kubeconfig,
    ensure_agent_kubeconfigs,
    ensure_server_kubeconfigs,
)
from rke2.pki.names import AltNames
from rke2.pki.server_pki import ensure_server_pki
from rke2.supervisor.serving import ensure_serving_certificate
from tests.configs import paths_under, server_config

GOLDEN = Path(__file__).parent
_USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH: "client", ExtendedKeyUsageOID.SERVER_AUTH: "server"}


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    """The root of a file system on which a server has started once."""
    config = server_config(
        paths_under(tmp_path),
        node={"name": "node1.example.org", "external_ips": (ip_address("203.0.113.7"),)},
        network={"tls_sans": ("rke2.example.org", "198.51.100.9")},
        server={"agent_token": "agents-only"},
    )
    await start_once(config)
    return tmp_path


async def start_once(config: NodeConfig) -> None:
    ensure_server_pki(config)
    ensure_server_credentials(config)
    ensure_server_kubeconfigs(config)
    ensure_admin_kubeconfig(config)
    await ensure_agent_pki(config, LocalSigner(config))
    ensure_agent_kubeconfigs(config)
    ensure_serving_certificate(config)


def same_as_golden(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text()


def test_every_certificate(root: Path) -> None:
    paths = sorted((root / "var/lib/rancher/rke2").rglob("*.crt"))
    same_as_golden("certificates.txt", "\n".join(describe_file(path, root) for path in paths))


def test_every_path_and_mode(root: Path) -> None:
    same_as_golden("tree.txt", "".join(f"{line}\n" for line in tree(root)))


@pytest.mark.parametrize(
    "path",
    [
        "server/cred/admin.kubeconfig",
        "server/cred/supervisor.kubeconfig",
        "server/cred/controller.kubeconfig",
        "server/cred/scheduler.kubeconfig",
        "server/cred/api-server.kubeconfig",
        "server/cred/cloud-controller.kubeconfig",
        "agent/kubelet.kubeconfig",
        "agent/kubeproxy.kubeconfig",
        "agent/rke2controller.kubeconfig",
    ],
)
def test_kubeconfigs_of_components(root: Path, path: str) -> None:
    text = (root / "var/lib/rancher/rke2" / path).read_text().replace(str(root), "")
    same_as_golden(Path(path).name, text)


def test_kubeconfig_of_the_administrator(root: Path) -> None:
    text = (root / "etc/rancher/rke2/rke2.yaml").read_text()
    same_as_golden("rke2.yaml", re.sub(r"(-data: )[A-Za-z0-9+/=]{100,}", r"\1<base64>", text))


def test_secrets(root: Path) -> None:
    server = root / "var/lib/rancher/rke2/server"
    secrets = [
        server / "token",
        server / "node-token",
        server / "agent-token",
        server / "cred/passwd",
        server / "cred/ipsec.psk",
        server / "cred/encryption-config.json",
        server / "cred/encryption-state.json",
        server / "etc/egress-selector-config.yaml",
        server / "db/etcd/name",
        root / "etc/rancher/node/password",
    ]
    same_as_golden(
        "secrets.txt", "".join(f"{path.relative_to(root)}\n{masked(path, root)}|\n" for path in secrets)
    )


def masked(path: Path, root: Path) -> str:
    """Content with random parts replaced by their kind and length."""
    text = path.read_text().replace(str(root), "")
    text = re.sub(r"[A-Za-z0-9+/]{43}=", "<32 bytes base64>", text)
    text = re.sub(r"K10[0-9a-f]{64}::", "K10<64 hex>::", text)
    return re.sub(r"\b[0-9a-f]{8,}\b", lambda match: f"<{len(match[0])} hex>", text)


def tree(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        name = path.relative_to(root)
        if path.is_symlink():
            yield f"link {name} -> {str(path.readlink()).replace(str(root), '')}"
        else:
            yield f"{mode:04o} {name}{'/' if path.is_dir() else ''}"


def describe_file(path: Path, root: Path) -> str:
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    return f"{path.relative_to(root / 'var/lib/rancher/rke2')}\n" + "".join(map(describe, chain))


def describe(certificate: x509.Certificate) -> str:
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    lines = [
        f"{name(certificate.subject)}, by {name(certificate.issuer)}, {days} days",
        f"  {', '.join(usages(certificate))}",
        *(f"  SAN {entry}" for entry in AltNames.read(certificate).entries()),
    ]
    return "".join(f"  {line}\n" for line in lines)


def name(subject: x509.Name) -> str:
    return re.sub(r"@\d{10}\b", "@<unix>", subject.rfc4514_string())


def usages(certificate: x509.Certificate) -> Iterator[str]:
    key_usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    yield "critical" if key_usage.critical else "not critical"
    for flag in ("digital_signature", "key_encipherment", "key_cert_sign", "crl_sign", "key_agreement"):
        if getattr(key_usage.value, flag):
            yield flag
    yield from (_USAGES[oid] for oid in extended_usages(certificate))


def extended_usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []
