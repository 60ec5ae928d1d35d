"""containerd that came up without its CRI: said at once, with containerd's own reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.boot.runtime import _without_cri
from rke2.lifecycle.logfile import LogFile

LINE = (
    'time="2026-01-02T03:04:05Z" level=warning msg="failed to load plugin" error="failed to create CRI service: '
    'failed to create cni conf monitor for default: {why}" '
    "id=io.containerd.grpc.v1.cri type=io.containerd.grpc.v1\n"
)


@pytest.mark.parametrize(
    ("why", "remedy"),
    [
        ("failed to create fsnotify watcher: too many open files", "fs.inotify.max_user_instances"),
        ("no such directory", "containerd.log"),
    ],
)
def test_the_reason_is_that_of_containerds_log(tmp_path: Path, why: str, remedy: str) -> None:
    log = LogFile(tmp_path / "containerd.log")
    log.path.write_text("before\n" + LINE.format(why=why) + "after\n")
    error = _without_cri(log)
    assert why in error.message
    assert remedy in error.remedy


def test_a_log_without_a_reason(tmp_path: Path) -> None:
    assert "no reason found" in _without_cri(LogFile(tmp_path / "none")).message
