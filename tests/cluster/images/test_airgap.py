"""Archives and lists on a node that runs; `rke2 images` there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.integration.images.test_import import members
from tests.unit.content.archive_maker import layer, write_archive

IMAGES = Paths().images


def pinned(node: LabNode) -> dict[str, bool]:
    """Whether each image of containerd is kept from garbage collection, by name."""
    answer = json.loads(node.host.exec(["/var/lib/rancher/rke2/bin/crictl", *_CRICTL]).stdout)
    return {tag: image["pinned"] for image in answer["images"] for tag in image["repoTags"]}


_CRICTL = ("--config", "/var/lib/rancher/rke2/agent/etc/crictl.yaml", "images", "-o", "json")


def place(node: LabNode, tmp_path: Path, name: str, file: str) -> Path:
    """Put an archive with one image into the node's directory."""
    made = write_archive(tmp_path / file, members(name, layer({"etc/name": name.encode()})))
    return Path(shutil.copy(made, node.host.path(IMAGES)))


def test_everything_of_the_boot_is_pinned_and_on_the_list(cluster: LabNode) -> None:
    listed = {image["image"]: image["neededBy"] for image in json.loads(_rke2(cluster, "list", "-o", "json"))}
    held = pinned(cluster)
    runtime = [name for name, users in listed.items() if users == ["runtime"]]
    assert len(runtime) == 1
    assert [name for name in listed if name not in (*held, *runtime)] == []
    assert [name for name in listed if name not in runtime and not held[name]] == []


@pytest.mark.parametrize("suffix", [".tar", ".tar.lz4"])
def test_an_archive_added_later_is_imported(cluster: LabNode, tmp_path: Path, suffix: str) -> None:
    name = f"reg.example/later{suffix.replace('.', '-')}:v1"
    place(cluster, tmp_path, name, f"later{suffix}")
    eventually(lambda: pinned(cluster).get(name), "the image is there and pinned")


def test_a_bad_archive_added_later_is_named_and_others_come(cluster: LabNode, tmp_path: Path) -> None:
    cluster.host.path(IMAGES / "bad.tar.zst").write_bytes(b"<html>404</html>")
    place(cluster, tmp_path, "reg.example/beside:v1", "beside.tar.zst")
    eventually(lambda: "reg.example/beside:v1" in pinned(cluster), "the good one is imported")
    assert f"{IMAGES / 'bad.tar.zst'} is truncated or corrupt" in cluster.log.read_text()
    assert cluster.rke2("status").returncode == 0
    cluster.host.path(IMAGES / "bad.tar.zst").unlink()


def test_import_export_and_verify_by_hand(cluster: LabNode, tmp_path: Path) -> None:
    name = "reg.example/by-hand:v1"
    write_archive(cluster.host.path(Path("/tmp/by-hand.tar.gz")), members(name, layer({"a": b"b" * 9999})))
    assert f"{name}: imported" in _rke2(cluster, "import", "/tmp/by-hand.tar.gz")
    assert f"{name}: there already" in _rke2(cluster, "import", "/tmp/by-hand.tar.gz")
    _rke2(cluster, "export", "-o", "/tmp/out.tar.zst", name)
    assert "1 images, 0 Go programs: ok" in _rke2(cluster, "verify", "--fips", "/tmp/out.tar.zst")
    refused = cluster.rke2("images", "export", "-o", "/tmp/no.tar", "away:1")
    assert refused.returncode == 1
    assert "containerd does not hold docker.io/library/away:1" in refused.stderr


def _rke2(node: LabNode, *arguments: str) -> str:
    done = node.rke2("images", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
