"""What a host has of its own, and what it cannot reach."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rke2_lab.host import LabHost
from rke2_lab.rootfs import ON_DISK, OWN_SYSCTLS

Pair = tuple[LabHost, LabHost]

_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()
    print("connected")
except OSError as error:
    print(f"failed: {error}")
"""
_LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print(server.getsockname()[1], flush=True)
while True:
    server.accept()
"""


def _run(host: LabHost, *command: str) -> str:
    return host.exec(command, check=True, timeout=20).stdout.strip()


def _connect(host: LabHost, address: str, port: int) -> str:
    return _run(host, host.python, "-c", _CONNECT, address, str(port))


@contextmanager
def _listener(host: LabHost, address: str) -> Iterator[int]:
    with host.popen([host.python, "-c", _LISTEN, address], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.terminate()


# --- network ---------------------------------------------------------------------------------------
def test_hosts_reach_each_other_by_address_and_name(pair: Pair) -> None:
    one, other = pair
    for address in (other.address, other.address6):
        with _listener(other, address) as port:
            assert _connect(one, address, port) == "connected"
            assert _connect(one, other.name, port) == "connected"


def test_hosts_do_not_reach_the_machine(pair: Pair) -> None:
    for address in _machine_addresses():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with closing(socket.create_server((address, 0), family=family)) as server:
            assert "failed" in _connect(pair[0], address, server.getsockname()[1])


def test_the_machine_does_not_reach_hosts(pair: Pair) -> None:
    with _listener(pair[0], pair[0].address) as port, pytest.raises(OSError):
        socket.create_connection((pair[0].address, port), timeout=1)


def _machine_addresses() -> list[str]:
    text = subprocess.run(["ip", "-json", "addr"], capture_output=True, text=True, check=True).stdout
    infos = (info for link in json.loads(text) for info in link["addr_info"] if info["scope"] != "link")
    return [info["local"] for info in infos]


def test_the_node_address_can_be_detected(pair: Pair) -> None:
    (route,) = json.loads(_run(pair[0], "ip", "-json", "route", "show", "default"))
    assert route["dev"] == "eth0"
    links = {link["ifname"] for link in json.loads(_run(pair[0], "ip", "-json", "link"))}
    assert links == {"lo", "eth0"}


# --- identity --------------------------------------------------------------------------------------
def test_each_host_is_a_machine_of_its_own(pair: Pair) -> None:
    for command in (["hostname"], ["cat", "/etc/machine-id"], ["cat", "/proc/sys/kernel/random/boot_id"]):
        answers = {_run(host, *command) for host in pair}
        assert len(answers) == 2
        assert (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() not in answers
        )
    assert [_run(host, "hostname") for host in pair] == ["a", "b"]
    assert _run(pair[0], "cat", "/etc/resolv.conf") == "nameserver 10.89.0.1"


def test_it_sees_only_its_own_processes(pair: Pair) -> None:
    commands = _run(pair[0], "ps", "-e", "-o", "args=").splitlines()
    assert "rke2_lab.init" in commands[0]
    assert [line for line in commands[1:] if "defunct" not in line] == ["ps -e -o args="]


def test_nothing_of_the_callers_environment_gets_in(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cr3t")
    assert "s3cr3t" not in _run(pair[0], "env")
    assert pair[0].exec(["printenv", "KUBECONFIG"]).stdout.strip() == "/etc/rancher/rke2/rke2.yaml"
    assert pair[0].exec(["printenv", "EXTRA"], env={"EXTRA": "1"}).stdout.strip() == "1"


# --- files -----------------------------------------------------------------------------------------
def test_its_directories_start_empty_and_are_seen_from_outside(pair: Pair) -> None:
    one = pair[0]
    assert _run(one, "find", "/var/lib/rancher", "/etc/rancher", "/var/lib/kubelet", "-mindepth", "1") == ""
    one.write_file("/etc/rancher/rke2/config.yaml", "token: t\n", 0o600)
    assert _run(one, "cat", "/etc/rancher/rke2/config.yaml") == "token: t"
    assert _run(one, "stat", "-c", "%a %u", "/etc/rancher/rke2/config.yaml") == "600 0"
    _run(one, "rm", "-r", "/etc/rancher/rke2")


@pytest.mark.parametrize("directory", ["/etc", "/usr/local/bin", "/run", "/dev", "/root", "/srv", *ON_DISK])
def test_what_a_host_writes_stays_in_it(pair: Pair, directory: str) -> None:
    one, other = pair
    name = f"{directory}/rke2-lab-leak-{os.getpid()}"
    _run(one, "touch", name)
    assert not Path(name).exists()
    assert other.exec(["ls", name]).returncode != 0
    assert one.path(name).exists()


def test_hosts_do_not_see_each_others_disks(pair: Pair) -> None:
    state_dir = pair[0].record.state_dir
    assert _run(pair[0], "ls", "-A", str(state_dir)) == ""


def test_the_machines_disks_are_no_devices_of_the_host(pair: Pair) -> None:
    assert _run(pair[0], "find", "/dev", "-type", "b") == ""
    _run(pair[0], "sh", "-c", "echo >/dev/null; head -c1 /dev/urandom >/dev/null; test -c /dev/kmsg")


def test_overlay_mounts_work_where_containerd_needs_them(pair: Pair) -> None:
    script = """set -e; cd /var/lib/rancher; mkdir -p l u w m
    mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m; touch m/x; ls u; umount m; rm -r l u w m"""
    assert _run(pair[0], "sh", "-c", script) == "x"


def test_mounts_are_shared_inside_and_stay_inside(pair: Pair) -> None:
    _run(pair[0], "sh", "-c", "mkdir -p /var/lib/kubelet/m && mount -t tmpfs inside /var/lib/kubelet/m")
    assert "inside" not in Path("/proc/self/mountinfo").read_text()
    seen = [line for line in _run(pair[0], "cat", "/proc/self/mountinfo").splitlines() if "inside" in line]
    assert len(seen) == 1
    assert "shared:" in seen[0]
    _run(pair[0], "umount", "/var/lib/kubelet/m")


# --- kernel settings and control groups ------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in OWN_SYSCTLS if "random" not in name])
def test_machine_wide_settings_are_shadowed(pair: Pair, name: str) -> None:
    file = Path("/proc/sys") / name
    if not file.exists():
        pytest.skip(f"this kernel has no {name}")
    before = file.read_text()
    _run(pair[0], "sh", "-c", f"echo 7 > {file}")
    assert _run(pair[0], "cat", str(file)) == "7"
    assert _run(pair[1], "cat", str(file)) == before.strip()
    assert file.read_text() == before


@pytest.mark.parametrize(
    "file", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/sys/power/state"]
)
def test_other_machine_wide_settings_cannot_be_written(pair: Pair, file: str) -> None:
    done = pair[0].exec(["sh", "-c", f"test -e {file} || exit 9; : >> {file}"])
    assert done.returncode == 9 or "Read-only" in done.stderr


def test_network_settings_are_the_hosts_own(pair: Pair) -> None:
    file = "/proc/sys/net/ipv4/conf/all/arp_ignore"
    before = Path(file).read_text()
    _run(pair[0], "sh", "-c", f"echo 2 > {file}")
    assert (_run(pair[0], "cat", file), _run(pair[1], "cat", file)) == ("2", before.strip())
    assert Path(file).read_text() == before


def test_it_is_the_root_of_its_control_groups(pair: Pair) -> None:
    paths = {line.split(":", 2)[2] for line in _run(pair[0], "cat", "/proc/self/cgroup").splitlines()}
    assert paths <= {"/", "/init"}


def test_a_control_group_limits_processes_of_the_host(pair: Pair) -> None:
    script = """
    cd /sys/fs/cgroup; [ -d pids ] && cd pids
    mkdir -p few; echo 1 > few/pids.max; echo $$ > few/cgroup.procs; ls / | cat"""
    assert "fork" in pair[0].exec(["sh", "-c", script]).stderr
