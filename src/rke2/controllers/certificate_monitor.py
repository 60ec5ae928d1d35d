"""Events on the own Node about certificates that are going to expire (supervisor reference §11.4).

Every half hour, on servers and agents. No leader is needed.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.kube.client import Client
from rke2.kube.events import EventRecorder, EventType
from rke2.kube.objects import Object
from rke2.pki.inventory import agent_files, ends_soon, server_files
from rke2.pki.pem import read_certificates

COMPONENT = "rke2-cert-monitor"
CHECK_SECONDS = 30 * 60.0


class Reason(enum.StrEnum):
    """Reasons of the events."""

    LEAF = "CertificateExpirationWarning"
    AUTHORITY = "CACertificateExpirationWarning"
    OK = "CertificateExpirationOK"


@dataclass(frozen=True)
class CertificateFinding:
    """A certificate that needs attention."""

    reason: Reason
    text: str


_ADVICE = {
    Reason.LEAF: "restart rke2 on this node to renew",
    Reason.AUTHORITY: "rotate the certificate authorities",
}


class CertificateMonitor:
    """Looks at `files` for as long as `run` runs.

    Args:
        client: may create Events in the namespace ``default``, as a kubelet may.
        node: name of the own Node.
    """

    def __init__(self, client: Client, node: str, files: Iterable[Path]) -> None:
        self._events = EventRecorder(client.named(COMPONENT), COMPONENT, node)
        self._node, self._files = node, tuple(files)
        self._fine = False

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run(), name="certificate events")
            while True:
                self._tell(await asyncio.to_thread(examine, self._files, datetime.now(UTC)))
                await asyncio.sleep(CHECK_SECONDS)

    def _tell(self, findings: list[CertificateFinding]) -> None:
        for kind, reason, message in messages(findings, told_fine=self._fine):
            self._events.emit(_reference(self._node), kind, reason, message)
        self._fine = not findings


def _reference(node: str) -> Object:
    """A Node as events name it: by convention of the kubelet the name takes the place of the uid."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "uid": node}}


def messages(findings: list[CertificateFinding], *, told_fine: bool) -> list[tuple[EventType, str, str]]:
    """The events for what was found: one per reason. That all is fine is said once, until it is not."""
    if not findings:
        fine = "all certificates of this node are valid for long enough"
        return [] if told_fine else [("Normal", Reason.OK, fine)]
    told: list[tuple[EventType, str, str]] = []
    for reason, advice in _ADVICE.items():
        texts = [finding.text for finding in findings if finding.reason is reason]
        if texts:
            told.append(("Warning", reason, f"{advice}: {'; '.join(texts)}"))
    return told


def examine(files: Iterable[Path], now: datetime) -> list[CertificateFinding]:
    """What is wrong with the certificates in `files`; a CA that stands in several of them counts once."""
    found: dict[bytes | Path, CertificateFinding] = {}
    for file in files:
        try:
            certificates = read_certificates(file)
        except PKIError as error:
            found[file] = CertificateFinding(Reason.LEAF, error.message)
            continue
        for certificate in certificates.chain if certificates else ():
            finding = _examine(certificate, file, now)
            if finding:
                found.setdefault(certificate.tbs_certificate_bytes, finding)
    return list(found.values())


def _examine(certificate: x509.Certificate, file: Path, now: datetime) -> CertificateFinding | None:
    authority = _is_authority(certificate)
    left = certificate.not_valid_after_utc - now
    if not ends_soon(left, authority=authority):
        return None
    verb = "expired on" if left <= timedelta() else "expires on"
    text = f"{file.name} ({certificate.subject.rfc4514_string()}) {verb} {certificate.not_valid_after_utc:%Y-%m-%d}"
    return CertificateFinding(Reason.AUTHORITY if authority else Reason.LEAF, text)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def certificate_files(config: NodeConfig) -> list[Path]:
    """Every certificate this node has, by the catalog; those that do not exist are skipped when read."""
    files = agent_files(config.paths)
    if config.role == "server":
        files += server_files(config.paths, etcd=not config.component("etcd").disabled)
    return [file.path for file in files]
