from pathlib import Path

import pytest

from rke2.host.facts import HostFacts, detect, parse_kernel

FULL = "000001ffffffffff"
WITHOUT_SYS_RESOURCE = "000001fffeffffff"
LEGACY = "9:pids:/x\n5:cpu,cpuacct:/\n3:cpuset:/a:b\n1:name=systemd:/\n0::/user.slice\n"


def machine(root: Path, files: dict[str, str], environ: dict[str, str] | None = None) -> HostFacts:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return detect(root, environ or {}, "6.1.0-18-amd64")


def test_unified_hierarchy(tmp_path: Path) -> None:
    facts = machine(tmp_path, {"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"})
    assert facts.cgroup_version == 2
    assert facts.cgroup_controllers == {"cpuset", "cpu", "io", "memory", "pids"}


def test_legacy_and_hybrid_hierarchies(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": LEGACY, "sys/fs/cgroup/unified/cgroup.controllers": ""}
    facts = machine(tmp_path, files)
    assert facts.cgroup_version == 1
    assert facts.cgroup_controllers == {"pids", "cpu", "cpuacct", "cpuset"}


@pytest.mark.parametrize(("mask", "able"), [(FULL, True), (WITHOUT_SYS_RESOURCE, False), ("0", False)])
def test_capability_to_lower_oom_scores(tmp_path: Path, mask: str, able: bool) -> None:
    facts = machine(tmp_path, {"proc/self/status": f"Name:\tx\nCapPrm:\t{FULL}\nCapEff:\t{mask}\n"})
    assert facts.can_lower_oom_score is able


@pytest.mark.parametrize(
    ("mapping", "inside"), [("         0          0 4294967295\n", False), ("0 100000 65536\n", True)]
)
def test_user_namespace(tmp_path: Path, mapping: str, inside: bool) -> None:
    assert machine(tmp_path, {"proc/self/uid_map": mapping}).user_namespace is inside


@pytest.mark.parametrize(
    ("init", "environ", "controllers", "managed"),
    [
        (True, {"INVOCATION_ID": "x"}, "cpuset cpu", True),
        (True, {}, "cpuset cpu", False),
        (False, {"INVOCATION_ID": "x"}, "cpuset cpu", False),
        (True, {"INVOCATION_ID": "x"}, "cpu", False),
    ],
)
def test_who_manages_cgroups(
    tmp_path: Path, init: bool, environ: dict[str, str], controllers: str, managed: bool
) -> None:
    if init:
        (tmp_path / "run/systemd/system").mkdir(parents=True)
    facts = machine(tmp_path, {"sys/fs/cgroup/cgroup.controllers": controllers}, environ)
    assert facts.systemd_cgroups is managed


def test_security_modules_and_swap(tmp_path: Path) -> None:
    files = {
        "sys/fs/selinux/enforce": "0",
        "sys/module/apparmor/parameters/enabled": "Y\n",
        "proc/swaps": "Filename Type Size\n/dev/sda2 partition 1\n",
    }
    facts = machine(tmp_path, files)
    assert (facts.selinux, facts.apparmor, facts.swap) == (True, True, True)


def test_bare_machine(tmp_path: Path) -> None:
    facts = machine(tmp_path, {"proc/swaps": "Filename Type Size\n"})
    assert (facts.selinux, facts.apparmor, facts.swap, facts.systemd, facts.user_namespace) == (False,) * 5
    assert facts.kernel == (6, 1)


@pytest.mark.parametrize(("release", "version"), [("6.18.44-fc", (6, 18)), ("5.4", (5, 4)), ("odd", (0, 0))])
def test_kernel_release(release: str, version: tuple[int, int]) -> None:
    assert parse_kernel(release) == version


def test_this_machine_can_be_looked_at() -> None:
    assert detect().cgroup_controllers
