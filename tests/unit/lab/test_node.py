from pathlib import Path

import pytest
import yaml

from rke2.errors import LabError
from rke2_lab.host import LabHost
from rke2_lab.node import LabNode, archives
from rke2_lab.record import HostRecord


@pytest.fixture
def node(tmp_path: Path) -> LabNode:
    """A node on a host that is not running: its directories are there, nothing else is."""
    directory = tmp_path / "state" / "lab" / "hosts" / "a"
    directory.mkdir(parents=True)
    record = HostRecord("lab", "a", 0, "10.89.0.10", "fd89::a", "ns", directory, tmp_path / "state")
    record.save()
    return LabNode(LabHost(record.file, "net"))


@pytest.fixture
def content(tmp_path: Path) -> Path:
    directory = tmp_path / "content"
    directory.mkdir()
    for name in ("core.tar.zst", "runtime.tar", "core.txt", "sha256sum.txt", ".hidden.tar"):
        (directory / name).write_text(name)
    (directory / "50-images.yaml").write_text("pause-image: p\n")
    return directory


def _images(node: LabNode) -> Path:
    return node.host.path("/var/lib/rancher/rke2/agent/images")


def test_archives_are_linked_and_lists_left_out(node: LabNode, content: Path) -> None:
    assert not node.has_content
    node.place_content(content)
    assert sorted(file.name for file in _images(node).iterdir()) == ["core.tar.zst", "runtime.tar"]
    assert (_images(node) / "runtime.tar").samefile(content / "runtime.tar")
    assert node.has_content


def test_archives_of_other_cni_plugins_are_left_out(node: LabNode, content: Path) -> None:
    for cni in ("canal", "calico"):
        (content / f"rke2-images-{cni}.linux-amd64.tar.zst").write_text(cni)
    node.place_content(content, "calico")
    names = {file.name for file in _images(node).iterdir()}
    assert names == {"core.tar.zst", "runtime.tar", "rke2-images-calico.linux-amd64.tar.zst"}


def test_drop_ins_become_configuration(node: LabNode, content: Path) -> None:
    node.place_content(content)
    drop_in = node.host.path("/etc/rancher/rke2/config.yaml.d/50-images.yaml")
    assert drop_in.read_text() == "pause-image: p\n"


def test_placing_again_takes_the_new_archive(node: LabNode, content: Path) -> None:
    node.place_content(content)
    (content / "runtime.tar").unlink()
    (content / "runtime.tar").write_text("newer")
    node.place_content(content)
    assert (_images(node) / "runtime.tar").read_text() == "newer"
    assert len(list(_images(node).iterdir())) == 2


def test_a_directory_without_archives_is_no_content(node: LabNode, tmp_path: Path) -> None:
    assert archives(tmp_path / "nowhere") == []
    node.place_content(tmp_path)
    assert not node.has_content


def test_the_labs_settings_add_to_the_users(node: LabNode, tmp_path: Path) -> None:
    mine = tmp_path / "my.yaml"
    mine.write_text("kubelet-arg: [v=4]\n")
    node.configure(mine)
    config = node.host.path("/etc/rancher/rke2/config.yaml")
    assert config.read_text() == mine.read_text()
    assert config.stat().st_mode & 0o777 == 0o600
    drop_in = yaml.safe_load((config.parent / "config.yaml.d" / "00-lab.yaml").read_text())
    assert list(drop_in) == ["kubelet-arg+"]


def test_an_unreadable_configuration_is_named(node: LabNode, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"missing\.yaml"):
        node.configure(tmp_path / "missing.yaml")


def test_a_stopped_host_runs_nothing(node: LabNode) -> None:
    assert node.process is None
    for call in (lambda: node.host.exec(["true"]), lambda: node.host.popen(["true"]), node.start):
        with pytest.raises(LabError, match="not running"):
            call()
