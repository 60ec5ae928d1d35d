from pathlib import Path

import pytest

from rke2.errors import LabError
from rke2_lab.cgroups import ControlGroup, plan
from rke2_lab.mountinfo import MountEntry


def _v1(point: str, options: str, root: str = "/") -> MountEntry:
    return MountEntry(Path(root), Path("/sys/fs/cgroup") / point, "cgroup", "cgroup", options)


def _group(path: str) -> ControlGroup:
    return ControlGroup(Path("/sys/fs/cgroup") / path, Path("/sys/fs/cgroup") / path)


def test_v1_is_a_child_of_the_present_group_in_every_hierarchy() -> None:
    own = "3:cpu,cpuacct:/user\n2:memory:/user/session\n1:name=systemd:/\n"
    entries = [
        _v1("cpu,cpuacct", "rw,cpu,cpuacct"),
        _v1("memory", "rw,memory"),
        _v1("systemd", "rw,xattr,release_agent=/lib/agent,name=systemd"),
    ]
    assert plan("h", own, entries) == (
        _group("cpu,cpuacct/user/h"),
        _group("memory/user/session/h"),
        _group("systemd/h"),
    )


def test_v1_in_a_container_that_shows_a_part_of_the_hierarchy() -> None:
    entries = [_v1("memory", "rw,memory", root="/docker/1234")]
    assert plan("h", "2:memory:/docker/1234/inner\n", entries) == (_group("memory/inner/h"),)


def test_hierarchies_mounted_elsewhere_are_left_alone() -> None:
    other = MountEntry(Path("/"), Path("/mnt/cgroup/memory"), "cgroup", "cgroup", "rw,memory")
    assert plan("h", "2:memory:/\n", [other, _v1("memory", "rw,memory")]) == (_group("memory/h"),)


def test_no_control_groups_is_an_error() -> None:
    with pytest.raises(LabError, match="no control groups"):
        plan("h", "0::/\n", [])


@pytest.mark.parametrize(
    ("delegating", "expected"),
    [
        ("user.slice/session.scope", "user.slice/session.scope"),
        ("user.slice", "user.slice"),
        ("", ""),
        (None, ""),
    ],
)
def test_v2_goes_below_the_nearest_group_that_hands_on_controllers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delegating: str | None, expected: str
) -> None:
    monkeypatch.setattr("rke2_lab.cgroups.CGROUP_ROOT", tmp_path)
    for path in ("", "user.slice", "user.slice/session.scope"):
        (tmp_path / path).mkdir(exist_ok=True)
        controllers = "cpuset cpu io memory pids" if path == delegating else "memory pids"
        (tmp_path / path / "cgroup.subtree_control").write_text(controllers + "\n")
    entry = MountEntry(Path("/"), tmp_path, "cgroup2", "cgroup2", "rw")
    (group,) = plan("h", "0::/user.slice/session.scope\n", [entry])
    assert group == ControlGroup(tmp_path / expected / "h", tmp_path / expected / "h" / "init")
