"""Hosts come, go and leave nothing, also after crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rke2.errors import LabError
from rke2_lab.lab import Lab
from rke2_lab.program import SOURCE
from tests.integration.lab.traces import traces


def test_down_leaves_nothing(lab: Lab) -> None:
    before = traces(lab)
    host = lab.add_host("a")
    lab.add_host("b")
    host.write_file("/var/lib/rancher/rke2/server/token", "x")
    host.exec(["sh", "-c", "mkdir -p /sys/fs/cgroup/memory/kubepods/pod1 /run/x; mount -t tmpfs x /run/x"])
    during = traces(lab)
    assert during.groups and during.processes and during.files
    assert during.netns == {lab.netns, f"rke2lab-{lab.name}-a", f"rke2lab-{lab.name}-b"}
    assert all("/run/netns/" in mount for mount in during.mounts)
    assert during.links == before.links
    lab.down()
    assert traces(lab) == before
    lab.down()


def test_one_host_goes_the_other_stays(lab: Lab) -> None:
    lab.add_host("a")
    other = lab.add_host("b")
    lab.remove_host("a")
    assert [status.name for status in lab.status()] == ["b"]
    assert other.running
    assert " a\n" not in other.exec(["cat", "/etc/hosts"]).stdout
    assert lab.add_host("c").record.index == 0


def test_adding_again_gives_the_same_host(lab: Lab) -> None:
    first = lab.add_host("a").record
    assert lab.add_host("a").record == first


def test_a_power_failure_keeps_the_disk(lab: Lab) -> None:
    host = lab.add_host("a")
    host.write_file("/var/lib/rancher/kept", "yes")
    host.exec(["touch", "/run/lost", "/etc/lost"], check=True)
    boot_id = host.exec(["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    host.stop()
    assert not host.running
    assert host.path("/var/lib/rancher/kept").read_text() == "yes"
    host.start()
    assert host.exec(["cat", "/var/lib/rancher/kept"]).stdout == "yes"
    assert host.exec(["ls", "/run/lost"]).returncode != 0
    assert host.exec(["cat", "/proc/sys/kernel/random/boot_id"]).stdout != boot_id


def test_processes_that_refuse_to_end(lab: Lab) -> None:
    before = traces(lab)
    host = lab.add_host("a")
    host.exec(["sh", "-c", "trap '' TERM INT HUP; setsid sleep 4714 >/dev/null 2>&1 &"], check=True)
    script = "trap '' TERM; echo ready; sleep 4714"
    with host.popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        lab.down()
        assert process.wait(5) == -signal.SIGKILL
    assert traces(lab) == before


def test_pid_1_killed(lab: Lab) -> None:
    before = traces(lab)
    host = lab.add_host("a")
    host.exec(["sh", "-c", "trap '' TERM; setsid sleep 4715 >/dev/null 2>&1 &"], check=True)
    init = host.record.init
    assert init
    os.kill(init.pid, signal.SIGKILL)
    while init.alive:
        time.sleep(0.01)
    assert lab.status()[0].running is False
    with pytest.raises(LabError, match="not running"):
        host.exec(["true"])
    assert lab.add_host("a").exec(["hostname"]).stdout == "a\n"
    lab.down()
    assert traces(lab) == before


def test_a_host_that_cannot_start_leaves_nothing_running(lab: Lab) -> None:
    lab.add_host("a")
    before = traces(lab)
    (lab.directory / "hosts" / "b").mkdir()
    (lab.directory / "hosts" / "b" / "root").write_text("in the way")
    with pytest.raises(LabError, match="host b does not start"):
        lab.add_host("b")
    after = traces(lab)
    assert (after.groups, after.netns, after.processes) == (before.groups, before.netns, before.processes)


def test_a_lab_of_the_same_name_elsewhere_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    host = lab.add_host("a")
    other = Lab(tmp_path / "elsewhere", lab.name)
    with pytest.raises(LabError, match="another state directory"):
        other.add_host("a")
    other.down()
    assert host.exec(["hostname"]).stdout == "a\n"


_MAKE = """
import sys; from pathlib import Path; from rke2_lab.lab import Lab
lab = Lab(Path(sys.argv[1]), sys.argv[2])
print("go", flush=True)
for number in range(3):
    lab.add_host(f"h{number}")
"""


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4])
def test_killed_at_any_moment_down_removes_all(lab: Lab, delay: float) -> None:
    before = traces(lab)
    command = [sys.executable, "-c", _MAKE, str(lab.state_dir), lab.name]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(SOURCE)}
    ) as maker:
        assert maker.stdout
        maker.stdout.readline()
        time.sleep(delay)
        maker.kill()
    lab.down()
    assert traces(lab) == before


def test_killed_while_making_the_next_run_goes_on(lab: Lab) -> None:
    command = [sys.executable, "-c", _MAKE, str(lab.state_dir), lab.name]
    for delay in (0.03, 0.1, 0.2):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(SOURCE)}
        ) as maker:
            assert maker.stdout
            maker.stdout.readline()
            time.sleep(delay)
            maker.kill()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(SOURCE)}
    )
    assert [status.running for status in lab.status()] == [True, True, True]
