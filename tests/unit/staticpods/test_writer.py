from pathlib import Path

import pytest
import yaml

from rke2.config.paths import Paths
from rke2.errors import ComponentError
from rke2.staticpods import kube_proxy, writer
from tests.configs import paths_under, server_config


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_under(tmp_path)


def test_writes_and_leaves_alone_what_is_right(paths: Paths) -> None:
    pod = kube_proxy.pod(server_config(paths), "image:1")
    first = writer.write(pod, paths, environ={})
    before = first.path.stat()
    second = writer.write(pod, paths, environ={})
    assert (first.changed, second.changed) == (True, False)
    assert second.uid == first.uid == writer.manifest_uid(paths, "kube-proxy")
    after = first.path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_change_of_a_mounted_file_makes_another_pod(paths: Paths) -> None:
    kubeconfig = paths.agent / "kubeproxy.kubeconfig"
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.write_text("{}")
    pod = kube_proxy.pod(server_config(paths), "image:1")
    first = writer.write(pod, paths, environ={})
    kubeconfig.write_text("{} # renewed")
    second = writer.write(pod, paths, environ={})
    assert second.changed
    assert second.uid != first.uid


@pytest.mark.parametrize(("profile", "mode"), [("", 0o644), ("cis", 0o600), ("etcd", 0o600)])
def test_mode_follows_the_profile(paths: Paths, profile: str, mode: int) -> None:
    config = server_config(paths, profile=profile)
    pod = kube_proxy.pod(config, "image:1")
    writer.write(pod, paths, mode=0o640)
    written = writer.write(pod, paths, mode=writer.manifest_mode(config))
    assert written.path.stat().st_mode & 0o777 == mode
    assert not written.changed


def test_directory_is_private_and_holds_nothing_but_manifests(paths: Paths) -> None:
    written = writer.write(kube_proxy.pod(server_config(paths), "image:1"), paths)
    assert written.path.parent.stat().st_mode & 0o777 == 0o700
    assert list(written.path.parent.iterdir()) == [written.path]
    assert [path.name for path in paths.agent.iterdir()] == ["pod-manifests"]


def test_left_over_temporary_file_is_replaced(paths: Paths) -> None:
    paths.agent.mkdir(parents=True)
    (paths.agent / ".kube-proxy.yaml.new").write_text("half of a mani")
    written = writer.write(kube_proxy.pod(server_config(paths), "image:1"), paths)
    assert yaml.safe_load(written.path.read_text())["metadata"]["name"] == "kube-proxy"


def test_nothing_is_replaced_when_a_file_is_missing(paths: Paths) -> None:
    from rke2.staticpods import kube_scheduler

    pod = kube_scheduler.pod(server_config(paths), "image:1")
    with pytest.raises(ComponentError, match="db/etcd/name"):
        writer.write(pod, paths)
    assert not paths.pod_manifest("kube-scheduler").exists()


def test_remove_and_uid_without_a_manifest(paths: Paths) -> None:
    assert not writer.remove(paths, "etcd")
    assert writer.manifest_uid(paths, "etcd") is None
    writer.write(kube_proxy.pod(server_config(paths), "i"), paths)
    assert writer.remove(paths, "kube-proxy")
    assert not writer.remove(paths, "kube-proxy")


@pytest.mark.parametrize("content", ["{", "- 1", ""])
def test_unreadable_manifest_counts_as_none(paths: Paths, content: str) -> None:
    path = paths.pod_manifest("etcd")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert writer.manifest_uid(paths, "etcd") is None
