"""Stale sandboxes are found and removed on a real containerd with real sandboxes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rke2.content.images.cri import CRI
from rke2.errors import ComponentError
from rke2.staticpods.back_off import end_back_off
from rke2.staticpods.reconcile import make_room, reconcile, remove_static_pods
from tests.binaries import binary
from tests.containerd import PAUSE, containerd
from tests.isolation import Isolated

pytestmark = [pytest.mark.content, pytest.mark.root]

CGROUP = "/rke2-test-sandboxes"


def pause_archive(directory: Path) -> Path:
    """An image whose only program does nothing."""
    compiler = shutil.which("gcc") or pytest.skip("needs a C compiler for the pause program")
    (directory / "pause.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    subprocess.run([compiler, "-static", "-o", directory / "pause", directory / "pause.c"], check=True)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(directory / "pause", "pause")
    digest = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    image = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"]}]
    members = {
        "config.json": json.dumps(image).encode(),
        "layer.tar": layer.getvalue(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    path = directory / "pause.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


class Runtime:
    """A containerd with the pause image, and static pods on it as the kubelet makes them."""

    def __init__(self, network: Isolated, socket: Path, directory: Path) -> None:
        self.cri = CRI(binary("crictl"), socket)
        self._network = network
        self._socket = socket
        self._directory = directory

    def start_pod(self, component: str, uid: str, attempt: int = 0, source: str = "file") -> str:
        """A sandbox; returns its id."""
        document = {
            "metadata": {
                "name": f"{component}-node1",
                "namespace": "kube-system",
                "uid": uid,
                "attempt": attempt,
            },
            "labels": {"component": component, "tier": "control-plane"},
            "annotations": {"kubernetes.io/config.source": source},
            "log_directory": str(self._directory / "logs"),
            "linux": {
                "cgroup_parent": CGROUP,
                "security_context": {"namespace_options": {"network": 2}},
            },
        }
        path = self._directory / "sandbox.json"
        path.write_text(json.dumps(document))
        result = self._network.run(
            binary("crictl"), "--runtime-endpoint", f"unix://{self._socket}", "runp", path
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def start_container(self, sandbox: str) -> str:
        """Its only program, which ends when it is told to; returns the id."""
        path = self._directory / "container.json"
        path.write_text(
            json.dumps({"metadata": {"name": "c"}, "image": {"image": PAUSE}, "log_path": "c.log"})
        )
        crictl = (binary("crictl"), "--runtime-endpoint", f"unix://{self._socket}")
        created = self._network.run(*crictl, "create", sandbox, path, self._directory / "sandbox.json")
        assert created.returncode == 0, created.stderr
        container = created.stdout.strip()
        started = self._network.run(*crictl, "start", container)
        assert started.returncode == 0, started.stderr
        return container

    async def ids(self) -> set[str]:
        return {sandbox.id for sandbox in await self.cri.sandboxes()}


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    binary("containerd-shim-runc-v2")
    archive = pause_archive(tmp_path)
    async with containerd(tmp_path) as found:
        socket = found.paths.containerd_socket
        running = Runtime(found.network, socket, tmp_path)
        imported = found.network.run(binary("ctr"), "-a", socket, "-n", "k8s.io", "images", "import", archive)
        assert imported.returncode == 0, imported.stderr
        try:
            yield running
        finally:
            for sandbox in await running.cri.sandboxes():
                await running.cri.remove_sandbox(sandbox.id)
            remove_cgroups()


def remove_cgroups() -> None:
    """The parent group the sandboxes were in; it is empty now."""
    for group in (*Path("/sys/fs/cgroup").glob(f"*{CGROUP}"), Path(f"/sys/fs/cgroup{CGROUP}")):
        deadline = time.monotonic() + 5
        while group.is_dir():
            try:
                group.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


async def test_old_sandboxes_go_and_the_new_one_stays(runtime: Runtime) -> None:
    old = runtime.start_pod("etcd", "old")
    first_try = runtime.start_pod("etcd", "new", attempt=0)
    second_try = runtime.start_pod("etcd", "new", attempt=1)
    other = runtime.start_pod("kube-scheduler", "old")
    assert await runtime.ids() == {old, first_try, second_try, other}
    assert PAUSE in await runtime.cri.images()
    await reconcile(runtime.cri, {"etcd": "new"}, timeout=30)
    assert await runtime.ids() == {second_try, other}


async def test_a_pod_that_does_not_come_is_named(runtime: Runtime) -> None:
    with pytest.raises(ComponentError, match="etcd: pod sandbox not found"):
        await reconcile(runtime.cri, {"etcd": "new"}, timeout=0.5)


async def test_static_pods_of_components_are_removed_but_no_others(runtime: Runtime) -> None:
    runtime.start_pod("etcd", "a")
    runtime.start_pod("kube-apiserver", "b")
    kept = {runtime.start_pod("kube-proxy", "c"), runtime.start_pod("etcd", "d", source="api")}
    await remove_static_pods(runtime.cri, {"etcd", "kube-apiserver"}, timeout=30)
    assert await runtime.ids() == kept


async def test_an_earlier_pod_ends_by_itself_before_it_is_removed(runtime: Runtime) -> None:
    old = runtime.start_pod("etcd", "old")
    runtime.start_container(old)
    kept = {runtime.start_pod("etcd", "new"), runtime.start_pod("kube-proxy", "old")}
    up: list[bool] = []

    async def kubelet() -> None:
        up.append(not await runtime.cri.ended(old))

    await make_room(runtime.cri, "etcd", "new", kubelet, timeout=30)
    assert await runtime.ids() == kept
    assert up == [True]


async def test_a_sandbox_whose_container_has_ended_is_removed_and_no_other(runtime: Runtime) -> None:
    ended = runtime.start_pod("kube-scheduler", "a")
    runtime.start_container(ended)
    await runtime.cri.stop_containers(ended, 5)
    assert await runtime.cri.ended(ended)
    empty = runtime.start_pod("kube-controller-manager", "b")
    running = runtime.start_pod("etcd", "c")
    runtime.start_container(running)
    for name in ("kube-scheduler", "kube-controller-manager", "etcd"):
        await end_back_off(runtime.cri, name)
    assert await runtime.ids() == {empty, running}
