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


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("180000000", "own", 180.0),
        ("180000000", "", 180.0),
        ("180000000", "1", None),
        ("180000000", "x", None),
        ("0", "own", None),
        ("", "own", None),
        ("-5", "", None),
    ],
)
def test_the_watchdog_is_ours_only_if_it_says_so(
    microseconds: str, pid: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert Notifier().watchdog == seconds
    assert not {"WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)


@pytest.mark.parametrize("watched", [True, False])
def test_signs_of_life_go_to_a_manager_that_watches(
    watched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000" if watched else "")
        notifier = Notifier()
        notifier.alive()
        notifier.notify(STATUS="up")
        assert manager.recv(100) == (b"WATCHDOG=1" if watched else b"STATUS=up")
