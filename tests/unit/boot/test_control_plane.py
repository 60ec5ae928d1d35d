"""Static pods before the kubelet starts: which may stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from rke2.boot.control_plane import forget_former_member, restart_if_told
from rke2.boot.node import Node
from rke2.boot.process import Boot
from rke2.content.images.cri import CRI, Sandbox
from rke2.host.facts import detect
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.progress import Progress
from rke2.lifecycle.services import Services
from tests.configs import paths_under, server_config

PODS = ("etcd", "kube-apiserver", "kube-proxy")


@dataclass
class Runtime:
    """A container runtime with a sandbox of each static pod."""

    left: list[str] = field(default_factory=lambda: list(PODS))
    stopped: list[str] = field(default_factory=list)

    async def sandboxes(self, namespace: str) -> list[Sandbox]:
        return [
            Sandbox(
                id=name,
                name=f"{name}-node1",
                namespace=namespace,
                uid="1",
                labels={"component": name, "tier": "control-plane"},
                annotations={"kubernetes.io/config.source": "file"},
                created=1,
                ready=True,
            )
            for name in self.left
        ]

    async def stop_containers(self, sandbox: str, grace: int) -> None:
        self.stopped.append(sandbox)

    async def remove_sandbox(self, sandbox: str) -> None:
        self.left.remove(sandbox)


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
async def node(tmp_path: Path, runtime: Runtime) -> Node:
    config = server_config(paths_under(tmp_path))
    config.paths.pod_manifests.mkdir(parents=True)
    for name in PODS:
        config.paths.pod_manifest(name).write_text("{}")
    progress = Progress(config.paths.status, "server", "v1")
    boot = Boot(config, detect(), progress, Services(), Liveness(print, lambda: None))
    return replace(Node.assemble(boot), cri=cast("CRI", runtime))


def written(node: Node) -> set[str]:
    return {path.stem for path in node.config.paths.pod_manifests.glob("*.yaml")}


async def test_pods_of_a_member_without_data_go_before_the_kubelet_starts_them(
    node: Node, runtime: Runtime
) -> None:
    await forget_former_member(node)
    assert written(node) == {"kube-proxy"}
    assert runtime.left == ["kube-proxy"]


async def test_pods_of_a_member_with_data_stay(node: Node, runtime: Runtime) -> None:
    (node.config.paths.etcd / "member/wal").mkdir(parents=True)
    await forget_former_member(node)
    assert written(node) == set(PODS) and runtime.left == list(PODS)


async def test_a_first_start_has_nothing_to_clear_away(node: Node, runtime: Runtime) -> None:
    node.config.paths.pod_manifest("etcd").unlink()
    await forget_former_member(node)
    assert runtime.left == list(PODS)


async def test_a_marker_has_every_static_pod_begun_again(node: Node, runtime: Runtime) -> None:
    node.config.paths.force_restart.touch()
    await restart_if_told(node)
    assert not written(node) and not runtime.left
    assert runtime.stopped == list(PODS), "each may end by itself"
    assert not node.config.paths.force_restart.exists(), "the next start leaves them alone"


async def test_without_a_marker_they_run_on(node: Node, runtime: Runtime) -> None:
    await restart_if_told(node)
    assert written(node) == set(PODS) and runtime.left == list(PODS)
