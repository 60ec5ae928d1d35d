"""Events about certificates, as ``kubectl describe node`` finds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2.controllers import certificate_monitor as module
from rke2.controllers.certificate_monitor import CertificateMonitor
from rke2.kube.client import Client
from rke2.kube.objects import Object
from rke2.kube.resources import EVENTS
from tests.authorities import certify, new_key, pem
from tests.integration.running import running

from .waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.content]


async def test_warning_and_all_clear(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.1)
    file, key = tmp_path / "kubelet.crt", new_key()

    def write(days: int) -> None:
        end = datetime.now(UTC) + timedelta(days=days)
        file.write_bytes(pem(certify("kubelet", key, "kubelet", key, ca=False, end=end)))

    async def event(reason: str) -> Object:
        async def look() -> list[Object]:
            selector = f"involvedObject.kind=Node,involvedObject.uid=monitored,reason={reason}"
            return (await client.list(EVENTS, "default", field_selector=selector)).items

        return (await eventually(look, reason))[0]

    write(100)
    async with running(CertificateMonitor(client, "monitored", [file]).run()):
        warning = await event("CertificateExpirationWarning")
        assert warning["type"] == "Warning"
        assert warning["source"]["component"] == "rke2-cert-monitor"
        assert "kubelet.crt (CN=kubelet) expires on" in warning["message"]
        write(365)
        fine = await event("CertificateExpirationOK")
        assert (fine["type"], fine["count"]) == ("Normal", 1)
