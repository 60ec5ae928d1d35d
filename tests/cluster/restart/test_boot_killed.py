"""A boot that ends at any moment is completed by a later one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rke2.config.paths import Paths
from tests.cluster.eventually import eventually
from tests.cluster.nodes import BOOT_SECONDS
from tests.cluster.restart.containers import restart_counts
from tests.cluster.restart.server import STOP_SECONDS, Server

PATHS = Paths()


def test_status_of_a_node_that_never_ran(empty: Server) -> None:
    done = empty.node.rke2("status")
    assert (done.returncode, done.stdout) == (1, "rke2 has never run on this data directory\n")


def test_sigterm_while_the_runtime_image_is_unpacked(empty: Server) -> None:
    empty.start()
    _until_middle_of(empty, "content")
    assert empty.terminate() == 0
    assert [phase.state for phase in empty.status().phases if phase.name in ("content", "etcd")] == [
        "cancelled",
        "pending",
    ]


def test_sigkill_at_every_phase(empty: Server) -> None:
    phases = [phase.name for phase in empty.status().phases]
    assert len(phases) > 10
    caught = set()
    for name in phases:
        empty.start()
        empty.until_phase(name)
        _until_middle_of(empty, name)
        if name == "images":
            _look_at_status(empty)
        empty.kill()
        if empty.phase(name).state == "running":
            caught.add(name)
        empty.until_childless()
    # The long ones; whether a phase of a second is caught is up to the machine.
    assert {"images", "etcd", "kube-apiserver"} <= caught
    empty.start()
    empty.until_ready()
    assert _leftovers(empty) == []
    assert max(restart_counts(empty.node).values()) <= 1


def _until_middle_of(server: Server, phase: str) -> None:
    """For the phases with the biggest windows: wait until part of their work is on disk."""
    middle: dict[str, Callable[[], bool]] = {
        "content": lambda: any(_files(server, PATHS.data, ".extracting-*/bin/*")),
        "images": lambda: any(
            _files(server, PATHS.containerd_root / "io.containerd.content.v1.content/ingest", "*/data")
        ),
    }
    if phase in middle:
        eventually(
            lambda: middle[phase]() or server.phase(phase).state == "done",
            f"{phase} has begun",
            BOOT_SECONDS,
            poll=0.01,
        )


def _files(server: Server, directory: Path, pattern: str) -> list[Path]:
    return list(server.node.host.path(directory).glob(pattern))


def _look_at_status(server: Server) -> None:
    code, report = server.report()
    assert code == 1
    assert report["ready"] is False
    assert report["pid"] == server.status().pid
    assert "images" in str(report["waitingFor"])
    assert server.node.rke2("status", "--wait", "--timeout", "0").returncode == 2


def _leftovers(server: Server) -> list[Path]:
    """What killed processes left half done and nobody took away."""
    return [
        *_files(server, PATHS.data, ".extracting-*"),
        *_files(server, PATHS.agent, ".*.new"),
        *_files(server, PATHS.pod_manifests, ".*"),
    ]


def test_status_after_sigkill(server: Server) -> None:
    server.kill()
    code, report = server.report()
    assert (code, report["pid"], report["waitingFor"]) == (1, None, "rke2 is not running")
    assert "not running (it ended without a word)" in server.node.rke2("status").stdout
    eventually(lambda: not server.pids("kubelet"), "the kubelet is gone", STOP_SECONDS)
