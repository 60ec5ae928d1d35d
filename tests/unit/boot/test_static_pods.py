"""Which manifests a kubelet finds when it comes up: those that this start will write, and no other."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rke2.boot import control_plane, replacement, runtime, static_pods
from rke2.boot.node import Node
from rke2.config.model import ComponentSettings, NodeConfig
from rke2.content.images.cri import Sandbox
from rke2.etcd import member_files
from rke2.etcd.membership import Self
from rke2.join.credentials import ensure_etcd_name, ensure_server_credentials
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.kubeconfigs import ensure_agent_kubeconfigs, ensure_server_kubeconfigs
from rke2.pki.server_pki import ensure_server_pki
from rke2.staticpods import etcd, etcd_config, writer
from rke2.staticpods.admission import write_policies
from tests.configs import paths_under, server_config
from tests.unit.boot.nodes import assembled

ALL = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")


@pytest.fixture(scope="module")
def as_it_was(tmp_path_factory: pytest.TempPathFactory) -> tuple[NodeConfig, Path]:
    """A server that has run: its member has data, its manifests are there. With a copy of its files."""
    root = tmp_path_factory.mktemp("server")
    config = server_config(paths_under(root / "files"))
    ensure_server_pki(config)
    asyncio.run(ensure_agent_pki(config, LocalSigner(config)))
    ensure_server_credentials(config)
    ensure_server_kubeconfigs(config)
    ensure_agent_kubeconfigs(config)
    write_policies(config)
    (config.paths.etcd / "member/wal").mkdir(parents=True)
    start(config)
    shutil.copytree(root / "files", root / "copy")
    return config, root


@pytest.fixture
def config(as_it_was: tuple[NodeConfig, Path]) -> NodeConfig:
    """That server, with its files as they were."""
    config, root = as_it_was
    shutil.rmtree(root / "files")
    shutil.copytree(root / "copy", root / "files")
    return config


def start(config: NodeConfig) -> None:
    """Write all manifests, as a start does."""
    for name in ALL:
        pod = static_pods.planned(config, name)
        assert pod
        writer.write(pod, config.paths)


def there(config: NodeConfig) -> set[str]:
    return {file.stem for file in config.paths.pod_manifests.glob("*.yaml")}


def changed(config: NodeConfig, **args: str) -> NodeConfig:
    """The same server, where the operator has given components another argument."""
    components = {name.replace("_", "-"): ComponentSettings(args=(item,)) for name, item in args.items()}
    return replace(config, components={**config.components, **components})


def test_what_is_as_it_was_stays(config: NodeConfig) -> None:
    before = {file: file.stat().st_mtime_ns for file in config.paths.pod_manifests.iterdir()}
    assert static_pods.withdraw_changed(config) == frozenset()
    assert {file: file.stat().st_mtime_ns for file in config.paths.pod_manifests.iterdir()} == before
    assert there(config) == set(ALL)


def test_the_same_pod_in_other_words_stays(config: NodeConfig) -> None:
    """As another program has written it: once taken away, nothing would tell any more that its pod may run on."""
    for file in config.paths.pod_manifests.iterdir():
        file.write_text(f"# by hand\n{yaml.safe_dump(yaml.safe_load(file.read_text()), indent=4)}")
    assert static_pods.withdraw_changed(config) == frozenset()
    assert there(config) == set(ALL)


@pytest.mark.parametrize(
    ("args", "gone"),
    [
        ({"etcd": "snapshot-count=20000"}, {"etcd"}),
        ({"kube_apiserver": "max-requests-inflight=500"}, {"kube-apiserver"}),
        ({"kube_proxy": "v=3", "kube_scheduler": "v=3"}, {"kube-proxy", "kube-scheduler"}),
    ],
)
def test_what_will_be_another_pod_is_taken_away(
    config: NodeConfig, args: dict[str, str], gone: set[str]
) -> None:
    assert static_pods.withdraw_changed(changed(config, **args)) == gone
    assert there(config) == set(ALL) - gone


def test_another_image_or_certificate_makes_another_pod(config: NodeConfig) -> None:
    etcd_pair = config.paths.tls / "etcd/server-client.crt"
    etcd_pair.write_bytes(etcd_pair.read_bytes() + b"\n")
    assert static_pods.withdraw_changed(config) == {"etcd"}


def test_of_a_member_without_data_nobody_knows_what_it_will_be(config: NodeConfig) -> None:
    (config.paths.etcd / "member/wal").rmdir()
    assert static_pods.withdraw_changed(config) == {"etcd"}


def test_what_cannot_be_known_yet_is_not_started(config: NodeConfig) -> None:
    (config.paths.tls / "etcd/peer-ca.crt").unlink()
    assert static_pods.withdraw_changed(config) == {"etcd"}


def test_a_member_keeps_its_initial_options_although_its_manifest_was_taken_away(config: NodeConfig) -> None:
    """Else it would forget that it joined others, and be another pod at each second start."""
    own = Self.of(config, ensure_etcd_name(config))
    joined = etcd_config.InitialOptions("https://192.0.2.1:2380", "a=https://192.0.2.9:2380", "existing")
    writer.write(static_pods.etcd(config, own, joined), config.paths)
    with_another = changed(config, etcd="snapshot-count=20000")
    assert static_pods.withdraw_changed(with_another) == {"etcd"}
    assert member_files.initialised(config.paths)
    assert static_pods.earlier_options(with_another, own) == joined
    assert etcd.previous_options(config.paths) == joined


# --- the order of a start ----------------------------------------------------------------------------------


class Recorded:
    """A CRI with one running sandbox of each static pod, and what was done, in order."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self.did: list[str] = []
        self.boxes = [
            Sandbox(
                id=f"old-{name}",
                name=f"{name}-node1",
                namespace="kube-system",
                uid=writer.manifest_uid(config.paths, name) or "",
                created=1,
                ready=True,
                labels={"component": name, "tier": "control-plane"},
            )
            for name in ALL
        ]

    async def sandboxes(self, namespace: str = "") -> tuple[Sandbox, ...]:
        return tuple(self.boxes)

    async def stop_containers(self, sandbox_id: str, seconds: int) -> None:
        assert sandbox_id.removeprefix("old-") not in there(self.config), "shown before there was room"
        self.did.append(f"end {sandbox_id}")

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self.boxes = [box for box in self.boxes if box.id != sandbox_id]

    async def images(self) -> frozenset[str]:
        return frozenset()


@pytest.fixture
def node(
    config: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> Callable[[NodeConfig], tuple[Node, Recorded]]:
    """A node with that configuration, whose API server runs and whose kubelet comes up at once."""

    def make(config: NodeConfig) -> tuple[Node, Recorded]:
        cri, node = Recorded(config), assembled(config, "kubelet", *ALL)
        object.__setattr__(node, "cri", cri)
        object.__setattr__(node, "local_api", _LocalApi(cri.did))

        async def spawn(node: Node) -> None:
            cri.did.append(f"kubelet sees {', '.join(sorted(there(config)))}")

        async def met(node: Node, since: float) -> None:
            cri.did.append("kubelet has met the API server")

        async def is_there(node: Node, reference: str) -> bool:
            return True

        async def nothing(*_: Any, **__: Any) -> None: ...

        monkeypatch.setattr(control_plane, "find_listener", lambda port: port)
        monkeypatch.setattr(static_pods, "find_listener", lambda port: port)
        monkeypatch.setattr(runtime, "kubelet", spawn)
        monkeypatch.setattr(replacement, "_met", met)
        monkeypatch.setattr(replacement, "_is_there", is_there)
        monkeypatch.setattr(node.images, "pending", lambda reference: False)
        monkeypatch.setattr(node.images, "available", nothing)
        monkeypatch.setattr(node.pulls, "ensure", nothing)
        return node, cri

    return make


class _LocalApi:
    accepts, paused = True, False

    def __init__(self, did: list[str]) -> None:
        self._did = did

    async def start(self) -> None:
        self._did.append("proxy accepts")

    def open(self) -> None:
        self._did.append("proxy opens")

    async def pause(self) -> None:
        self._did.append("proxy refuses")

    async def close(self) -> None: ...


Make = Callable[[NodeConfig], tuple[Node, Recorded]]


async def test_an_unchanged_start_touches_nothing(config: NodeConfig, node: Make) -> None:
    started, cri = node(config)
    await control_plane.kubelet(started)
    assert cri.did == ["proxy accepts", f"kubelet sees {', '.join(ALL)}"]
    assert len(cri.boxes) == len(ALL)


async def test_the_earlier_pods_go_between_the_kubelet_and_the_new_manifests(
    config: NodeConfig, node: Make
) -> None:
    other = changed(config, etcd="snapshot-count=20000", kube_apiserver="max-requests-inflight=500")
    started, cri = node(other)
    await control_plane.kubelet(started)
    assert cri.did[:-2] == [
        "proxy accepts",
        "proxy opens",
        "kubelet sees kube-controller-manager, kube-proxy, kube-scheduler",
        "kubelet has met the API server",
        "proxy refuses",
    ]
    assert sorted(cri.did[-2:]) == ["end old-etcd", "end old-kube-apiserver"]
    assert there(config) == set(ALL)
    assert {box.id for box in cri.boxes} == {f"old-{name}" for name in ALL} - {
        "old-etcd",
        "old-kube-apiserver",
    }
    assert static_pods.withdraw_changed(other) == frozenset()


async def test_an_image_that_is_still_to_come_stops_nothing(
    config: NodeConfig, node: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier API server goes on until then; the kubelet is refused, as a held one begins no pods."""
    started, cri = node(changed(config, etcd="snapshot-count=20000"))
    (config.paths.kubelet_dir / "pods/uid/volumes/kubernetes.io~secret/token").mkdir(parents=True)

    async def forever(node: Node, reference: str) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(replacement, "_is_there", forever)
    monkeypatch.setattr(replacement, "IMAGES_SECONDS", 0.01)
    await control_plane.kubelet(started)
    assert cri.did == [f"kubelet sees {', '.join(name for name in ALL if name != 'etcd')}"]
    assert len(cri.boxes) == len(ALL)


async def test_the_earlier_api_server_is_gone_before_the_new_one_is_asked(
    config: NodeConfig, node: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A boot that ended in between has written the manifest and left the earlier pod."""
    other = changed(config, kube_apiserver="max-requests-inflight=500")
    start(other)
    started, cri = node(other)
    new = replace_uid(cri.boxes[1], writer.manifest_uid(config.paths, "kube-apiserver") or "")
    cri.boxes = [*cri.boxes[:2], new]

    async def stop_containers(sandbox_id: str, seconds: int) -> None:
        cri.did.append(f"end {sandbox_id}")

    async def ready(node: Node) -> None:
        cri.did.append("/readyz")

    monkeypatch.setattr(cri, "stop_containers", stop_containers)
    monkeypatch.setattr(control_plane, "_until_ready", ready)
    await control_plane.apiserver(started)
    assert cri.did == ["end old-kube-apiserver", "/readyz", "proxy accepts", "proxy opens"]


def replace_uid(box: Sandbox, uid: str) -> Sandbox:
    return replace(box, id="new", uid=uid, created=2)


@pytest.mark.parametrize(("listens", "asked"), [(True, []), (False, ["end back-off"] * 2)])
async def test_what_ended_without_an_api_server_is_started_before_the_kubelet_is_let_through(
    config: NodeConfig, node: Make, monkeypatch: pytest.MonkeyPatch, listens: bool, asked: list[str]
) -> None:
    """Let through first, the kubelet starts a container in the sandbox that is being removed."""
    started, cri = node(config)

    async def end_back_off(_: object, name: str) -> None:
        assert name in ("kube-controller-manager", "kube-scheduler")
        cri.did.append("end back-off")

    async def ready(node: Node) -> None:
        cri.did.append("/readyz")

    monkeypatch.setattr(control_plane, "find_listener", lambda port: port if listens else None)
    monkeypatch.setattr(control_plane, "end_back_off", end_back_off)
    monkeypatch.setattr(control_plane, "_until_ready", ready)
    await control_plane.apiserver(started)
    assert cri.did == ["/readyz", *asked, "proxy accepts", "proxy opens"]


async def test_what_is_not_there_yet_needs_no_room(
    config: NodeConfig, node: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, cri = node(config)
    for name in ("kube-controller-manager", "kube-scheduler"):
        writer.remove(config.paths, name)

    async def ready(node: Node) -> None: ...

    async def end_back_off(_: object, name: str) -> None:
        cri.did.append(f"end back-off of {name}")

    monkeypatch.setattr(control_plane, "find_listener", lambda port: None)
    monkeypatch.setattr(control_plane, "end_back_off", end_back_off)
    monkeypatch.setattr(control_plane, "_until_ready", ready)
    await control_plane.apiserver(started)
    assert cri.did == ["proxy accepts", "proxy opens"]


async def test_a_controller_manager_that_ends_later_is_not_held_back(
    config: NodeConfig, node: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, cri = node(config)
    kept: list[tuple[object, str, bool]] = []

    async def keep(runtime: object, name: str, answers: Callable[[], Awaitable[bool]]) -> None:
        kept.append((runtime, name, await answers()))

    monkeypatch.setattr(control_plane, "keep_out_of_back_off", keep)
    await control_plane.controller_manager(started)
    await asyncio.sleep(0.1)
    assert kept == [(cri, "kube-controller-manager", True)]
