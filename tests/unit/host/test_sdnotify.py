from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from rke2.host.sdnotify import Notifier


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_service_manager_gets_the_message(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "n") if kind == "path" else f"@rke2-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notifier = Notifier()
        assert "NOTIFY_SOCKET" not in os.environ
        notifier.notify(READY=1, STATUS="up")
        assert manager.recv(100) == b"READY=1\nSTATUS=up"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().notify(READY=1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    Notifier().notify(READY=1)
