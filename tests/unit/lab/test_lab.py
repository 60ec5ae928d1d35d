import ipaddress
from pathlib import Path

import pytest

from rke2.errors import LabError
from rke2_lab import addressing
from rke2_lab.cgroups import ControlGroup
from rke2_lab.lab import Lab, allow_watches, default_state_dir
from rke2_lab.process import ProcessId
from rke2_lab.record import HostRecord


@pytest.mark.parametrize("name", ["", "Lab", "a-b", "1a", "a" * 21, "../x"])
def test_names_that_are_no_lab(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="no name for a lab"):
        Lab(tmp_path, name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "net", "localhost", "a.b", "x" * 41])
def test_names_that_are_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("rke2_lab.lab.require_machine", lambda _: None)
    with pytest.raises(LabError, match="no name for a host"):
        Lab(tmp_path).add_host(name)
    assert list(tmp_path.iterdir()) == []


def test_not_root_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="root"):
        Lab(tmp_path).add_host("a")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_tool_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LabError, match="iproute2"):
        Lab(tmp_path).add_host("a")


def test_down_of_nothing_is_fine(tmp_path: Path) -> None:
    Lab(tmp_path / "none").down()
    assert not (tmp_path / "none").exists()


def test_an_unknown_host_is_named_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no host b"):
        Lab(tmp_path).host("b")


def test_the_state_directory_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKE2_LAB_DIR", "/srv/labs")
    assert default_state_dir() == Path("/srv/labs")
    monkeypatch.delenv("RKE2_LAB_DIR")
    assert default_state_dir() == Path("/var/lib/rke2-lab")


def test_addresses_are_the_labs_and_not_the_clusters() -> None:
    found = [addressing.address(index) for index in range(addressing.MOST_HOSTS)]
    assert len(set(found)) == addressing.MOST_HOSTS
    clusters = [ipaddress.ip_network("10.42.0.0/16"), ipaddress.ip_network("10.43.0.0/16")]
    for text in found:
        address = ipaddress.ip_address(text)
        assert address in addressing.GATEWAY.network
        assert address not in (addressing.GATEWAY.ip, addressing.GATEWAY.network.broadcast_address)
        assert not any(address in cluster for cluster in clusters)


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    record = HostRecord(
        lab="lab",
        name="a",
        index=3,
        address="10.89.0.13",
        address6="fd89::d",
        netns="rke2lab-lab-a",
        directory=tmp_path,
        state_dir=tmp_path.parent,
        exposed=(Path("/opt/product"),),
        groups=(ControlGroup(Path("/sys/fs/cgroup/x"), Path("/sys/fs/cgroup/x/init")),),
        init=ProcessId(4711, 99, "boot"),
    )
    record.save()
    assert HostRecord.load(record.file) == record


@pytest.mark.parametrize(("found", "left"), [("128", "1024"), ("8192", "8192")])
def test_a_low_limit_of_inotify_instances_is_raised(tmp_path: Path, found: str, left: str) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text(f"{found}\n")
    allow_watches(limit)
    assert limit.read_text().strip() == left
