"""Hosts that have nothing of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distribution.builder.places import Places
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode

pytestmark = [pytest.mark.content, pytest.mark.root]

HOSTS = Places.default().dist / "hosts"
ABSENT = (
    *(
        "python",
        "python3",
        "perl",
        "curl",
        "wget",
        "iptables",
        "ip6tables",
        "nft",
        "ipset",
        "conntrack",
        "nsenter",
    ),
    *("modprobe", "ip", "ps", "pgrep", "systemctl", "mkfs.ext4", "socat", "containerd", "runc", "kubectl"),
)
"""Programs that a node could be tempted to use. busybox has some of their names."""


@pytest.fixture(scope="module", params=["debian", "musl"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    archive = HOSTS / f"{request.param}.tar"
    if not archive.is_file():
        pytest.skip(f"{archive} is not built")
    lab = Lab(tmp_path_factory.mktemp("roots") / "labs", f"roots{request.param}", str(archive))
    try:
        yield lab.add_host("a")
    finally:
        lab.down()


def seen_by_rke2(host: LabHost, program: str) -> str:
    return host.exec(["which", program], tools=False).stdout.strip()


@pytest.mark.parametrize("program", ABSENT)
def test_rke2_finds_nothing_of_this_machine(host: LabHost, program: str) -> None:
    found = seen_by_rke2(host, program)
    assert not found or host.exec(["readlink", found]).stdout.strip() == "busybox"


def test_a_host_has_one_c_library(host: LabHost) -> None:
    loader = host.exec(["ls", "/lib64/ld-linux-x86-64.so.2"]).returncode == 0
    musl = host.exec(["sh", "-c", "ls /lib/ld-musl-*"]).returncode == 0
    assert loader != musl, "one of them, whichever it is"


def test_the_product_runs_with_an_interpreter_that_no_path_shows(host: LabHost) -> None:
    node = LabNode(host)
    assert "rke2 version" in node.rke2("--version").stdout
    started = node.popen(node.command("server", "--help"), stdout=-1, text=True)
    assert "--write-kubeconfig" in started.communicate(timeout=60)[0]


def test_what_a_host_writes_is_its_own(host: LabHost) -> None:
    root = host.record.root
    assert root is not None
    host.exec(["sh", "-c", "echo mine > /etc/mine && rm /bin/sleep"], check=True)
    assert not (root / "etc/mine").exists()
    assert (root / "usr/bin/sleep").is_symlink() or (root / "usr/bin/sleep").is_file()


@pytest.mark.parametrize("path", ["/opt/rke2-lab/machine/usr/x", "{python}/x"])
def test_what_it_has_of_this_machine_is_read_only(host: LabHost, path: str) -> None:
    exposed = host.record.exposed[0]
    done = host.exec(["touch", path.format(python=exposed)])
    assert done.returncode != 0
    assert "Read-only" in done.stderr
