"""A server on a host that has busybox and another C library, from the one file, started as carelessly as can be.

The other cluster tests run on a minimal Debian. Here programs of the names that the kubelet calls are there, and cannot
do what it asks for.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rke2.host.programs import GROUPS, IPTABLES
from rke2_lab import roots, toolbox
from rke2_lab.follow import until_ready
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.http import fetch
from tests.cluster.labs import CONTENT, gone_afterwards
from tests.cluster.namespace import Namespace
from tests.cluster.nodes import BOOT_SECONDS, place_server
from tests.cluster.objects import pod, web

ONE_FILE = CONTENT.parent / "release/rke2.linux-amd64"
HOST_PORT = 18080
ENVIRONMENT = {
    "PATH": "relative:",
    "LANG": "de_DE.ISO-8859-1",
    "TMPDIR": "/nowhere",
    "HOME": "",
    "LC_ALL": "tr_TR",
}
_START = '/bin/mkdir /gone && cd /gone && /bin/rmdir /gone && exec "$@" <&- >&-'
_STATUS = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
_PROCESSES = """
for process in /proc/[0-9]*; do
    name=$(cat $process/comm)
    case $name in
        rke2 | containerd | kubelet)
            files=$(for file in $process/exe $process/fd/*; do readlink $file; done)
            echo $name $files $(tr '\\0' ' ' <$process/environ)
    esac
done
"""
OPTIONAL = "skip loading plugin"
"""A snapshotter of containerd that nobody has chosen asks whether it could be used."""
SCRIPTS = Path(__file__).parents[3] / "packaging"


def spoil() -> None:
    """What a careless start hands on."""
    os.umask(0o077)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    for name, soft in (("NOFILE", 256), ("FSIZE", 4 << 20), ("CPU", 20)):
        number = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))
    os.nice(10)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    Path("/proc/self/oom_score_adj").write_text("900")


def start_carelessly(node: LabNode) -> subprocess.Popen[Any]:
    """As `LabNode.start` does, with everything wrong that can be inherited."""
    with node.log.open("ab") as log:
        return node.popen(
            ["/bin/sh", "-c", _START, "careless", *node.command("server")],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=spoil,
        )


def mounts(node: LabNode) -> str:
    return node.host.exec(["cat", "/proc/mounts"], check=True).stdout


@pytest.fixture(scope="module")
def bare(lab: Lab, workload_archive: Path) -> Iterator[LabNode]:
    """A whole server, ingress controller included, on the host without anything."""
    if not ONE_FILE.exists():
        pytest.fail(f"{ONE_FILE} is not there; make it with `make dist`")
    made = Lab(lab.state_dir, f"{lab.name}bare", roots.chosen("musl", CONTENT), ONE_FILE)
    with gone_afterwards(made) as own:
        node = place_server(own, "server-0", workload_archive, lean=False)
        until_ready(node, start_carelessly(node), BOOT_SECONDS)
        yield node


@pytest.fixture(scope="module")
def namespace(bare: LabNode) -> Namespace:
    return Namespace.create(bare, "bare")


def test_status_says_that_the_programs_are_those_of_the_runtime_image(bare: LabNode) -> None:
    text = bare.rke2("status", timeout=60).stdout
    (line,) = [line for line in text.splitlines() if line.startswith("programs ")]
    assert "runtime image: iptables (nf_tables), " in line
    assert "missing" not in line
    assert all(group.name in line for group in GROUPS)


def test_rke2_runs_from_the_one_file_and_hands_nothing_of_it_on(bare: LabNode) -> None:
    found = bare.host.exec(["sh", "-c", _PROCESSES], check=True).stdout
    processes = dict(line.split(" ", 1) for line in found.splitlines())
    assert processes["rke2"].startswith("/var/lib/rancher/rke2/data/program-")
    for name in ("containerd", "kubelet"):
        assert "program-" not in processes[name]
        assert "LD_LIBRARY_PATH" not in processes[name]
        assert "PYTHON" not in processes[name]


def test_the_ingress_controller_answers_on_port_80(bare: LabNode) -> None:
    host = bare.host
    url = f"http://{host.address}/"
    answer = eventually(
        lambda: host.exec([host.python, "-c", _STATUS, url]).stdout.strip(),
        "port 80 answers",
        30,
        ok="404".__eq__,
    )
    assert answer == "404", "nginx' own answer for what no Ingress names"


def test_a_port_of_the_host_leads_to_its_pod(namespace: Namespace) -> None:
    serving = web("serving")
    serving["spec"]["containers"][0]["ports"] = [{"containerPort": 8080, "hostPort": HOST_PORT}]
    namespace.apply(serving, pod("client"))
    namespace.until("condition=Ready", "pod/serving", "pod/client")
    url = f"{namespace.node.host.address}:{HOST_PORT}"
    eventually(lambda: fetch(namespace, "client", url), "the port answers", 20, ok="serving".__eq__)


def test_volumes_are_mounted_with_subpaths_and_taken_away(namespace: Namespace) -> None:
    """The kubelet's mounts that busybox' mount(8) cannot do."""
    volumes: list[dict[str, Any]] = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    made = pod("mounts", volumes=volumes)
    made["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "memory", "mountPath": "/whole"},
        {"name": "memory", "mountPath": "/part", "subPath": "part"},
    ]
    namespace.apply(made)
    namespace.until("condition=Ready", "pod/mounts")
    assert namespace.exec("mounts", "touch", "/part/file").returncode == 0
    assert namespace.exec("mounts", "ls", "/whole/part").stdout.strip() == "file"
    namespace.remove("pod", "mounts")
    subpaths = "volume-subpaths/memory"
    eventually(lambda: subpaths in mounts(namespace.node), "unmounted", 30, ok=lambda left: not left)


def test_a_container_without_root_enters_its_own_file_system(namespace: Namespace) -> None:
    """Under umask 077 it could not."""
    namespace.apply(pod("nobody", securityContext={"runAsUser": 65534, "runAsGroup": 65534}))
    namespace.until("condition=Ready", "pod/nobody")
    assert namespace.exec("nobody", "ls", "/").returncode == 0


@pytest.mark.parametrize("program", ["containerd", "kubelet", "containerd-shim", "kube-apiserver"])
def test_components_inherit_nothing_of_the_careless_start(bare: LabNode, program: str) -> None:
    pid = bare.host.exec(["pgrep", "-o", program]).stdout.strip()
    status = bare.host.path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Umask"].strip() == "0022"
    ignored = int(fields["SigIgn"], 16)
    assert not any(ignored >> number - 1 & 1 for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT))
    stat = bare.host.path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert stat[16] == "0", "nice"
    limits = bare.host.path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max file size +unlimited", limits)
    assert int(re.findall(r"Max open files +(\d+)", limits)[0]) > 4096
    environ = bare.host.path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert not any(variable.startswith((b"TMPDIR=", b"LANG=")) for variable in environ)


def test_no_component_looked_for_a_program_in_vain(bare: LabNode) -> None:
    """The proof of the table in docs/install.md: what is called and is nowhere stands in one of these logs."""
    agent = Path("/var/lib/rancher/rke2/agent")
    logs = [bare.host.path(agent / name) for name in ("logs/kubelet.log", "containerd/containerd.log")]
    lines = [line for log in logs for line in log.read_text().splitlines()]
    found = [line for line in lines if "executable file not found" in line and OPTIONAL not in line]
    assert found == []
    assert "neither the host nor" not in bare.log.read_text()


def test_killall_needs_nothing_of_the_host_either(bare: LabNode) -> None:
    """Last: it ends everything."""
    host = bare.host
    place = f"cat > /usr/local/bin/rke2-killall.sh && ln -s {toolbox.RKE2} /usr/local/bin"
    host.exec(["sh", "-c", place], input=(SCRIPTS / "rke2-killall.sh").read_text(), check=True)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = host.exec(["sh", "/usr/local/bin/rke2-killall.sh"], env={"PATH": path}, tools=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.exec(["pgrep", "containerd|kube|etcd|rke2"]).stdout == ""
    rules = host.exec(["/var/lib/rancher/rke2/agent/programs/iptables-save"], check=True).stdout
    assert not re.search(r"KUBE-|CNI-|cali|flannel", rules)
    links = host.exec(["/var/lib/rancher/rke2/agent/programs/ip", "-o", "link"], check=True).stdout
    assert "flannel" not in links
    assert "/run/k3s" not in mounts(bare)
    assert set(IPTABLES.programs) <= {
        path.name for path in host.path("/var/lib/rancher/rke2/agent/programs").iterdir()
    }
