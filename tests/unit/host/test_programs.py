"""Which programs are used, decided with real programs: scripts that imitate the host's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rke2.host import programs
from rke2.host.programs import GROUPS, IPTABLES, choose, host_path, link, summary

BUSYBOX = shutil.which("busybox")
WORKS = "echo util-linux; exit 0"
NFT = "[ $1 = --version ] && echo 'iptables v1.8.9 (nf_tables)'; exit 0"
RULES = "echo '*nat'; echo ':PREROUTING ACCEPT [0:0]'; echo '-A PREROUTING -j ACCEPT'"
NO_RULES = "echo '*nat'; echo ':PREROUTING ACCEPT [0:0]'"


class Machine:
    """A host and a runtime image."""

    def __init__(self, directory: Path) -> None:
        self.root, self.bin, self.aux = directory, directory / "usr/bin", directory / "aux"
        for made in (self.bin, self.aux, directory / "proc/net"):
            made.mkdir(parents=True)

    def has(self, *names: str, does: str = WORKS) -> Machine:
        return self._write(self.bin, names, does)

    def brings(self, *names: str, does: str = WORKS) -> Machine:
        return self._write(self.aux, names, does)

    def _write(self, directory: Path, names: tuple[str, ...], does: str) -> Machine:
        for name in names:
            (directory / name).write_text(f"#!/bin/sh\n{does}\n")
            (directory / name).chmod(0o755)
        return self

    def brings_all(self) -> Machine:
        self.brings(*(name for group in GROUPS for name in group.programs))
        return self.brings(*front_ends("nft"), *front_ends("legacy"))

    def has_legacy_tables(self, saved: str) -> Machine:
        (self.root / "proc/net/ip_tables_names").write_text("nat\n")
        return self.brings("iptables-legacy-save", does=saved)

    def choices(self) -> dict[str, programs.Choice]:
        return {made.group: made for made in choose(self.aux, f"{self.bin}:/nowhere", self.root)}


def front_ends(backend: str) -> list[str]:
    return [name.replace("tables", f"tables-{backend}") for name in IPTABLES.programs]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_host_with_nothing_gets_all_from_the_runtime_image(machine: Machine) -> None:
    machine.brings_all()
    found = machine.choices()
    assert {choice.source for choice in found.values()} == {"runtime image"}
    for group in GROUPS:
        assert set(found[group.name].links) == set(group.programs)


def test_a_host_with_everything_keeps_its_own(machine: Machine) -> None:
    machine.brings_all().has(*(name for group in GROUPS for name in group.programs))
    found = machine.choices()
    assert {choice.source for choice in found.values()} == {"host"}
    assert not any(choice.links for choice in found.values())


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_what_does_not_work_is_not_used(machine: Machine, group: programs.ProgramGroup) -> None:
    machine.brings_all().has(*group.programs, does="exit 1")
    assert machine.choices()[group.name].source == "runtime image"


@pytest.mark.parametrize(
    "group", [group for group in GROUPS if len(group.programs) > 1], ids=lambda g: g.name
)
def test_half_of_a_group_is_not_used(machine: Machine, group: programs.ProgramGroup) -> None:
    machine.brings_all().has(*group.programs[:-1])
    assert machine.choices()[group.name].source == "runtime image"


_CHOOSE = """
import sys
from pathlib import Path
from rke2.host.programs import choose
mounts = Path("/proc/self/mounts")
before = mounts.read_text()
print([made.source for made in choose(Path(sys.argv[1]), sys.argv[2]) if made.group == "mount"][0])
print("nothing" if mounts.read_text() == before else mounts.read_text())
"""


@pytest.mark.root
@pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed")
def test_asking_busybox_changes_nothing(machine: Machine) -> None:
    """It mounted / over itself when it was asked whether it could: every later process saw an empty host.

    In namespaces of their own: with such a question this would be the fate of this machine.
    """
    machine.brings_all()
    for name in (name for group in GROUPS for name in group.programs):
        (machine.bin / name).symlink_to(str(BUSYBOX))
    command = [
        "unshare",
        "--mount",
        "--net",
        sys.executable,
        "-c",
        _CHOOSE,
        str(machine.aux),
        str(machine.bin),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "runtime image\nnothing\n"


def test_what_is_nowhere_is_told(machine: Machine) -> None:
    found = machine.choices()
    assert {choice.source for choice in found.values()} == {"missing"}
    assert "neither the host nor the runtime image" in str(found["mount"])


@pytest.mark.parametrize(
    ("saved", "note"), [(RULES, "legacy"), (NO_RULES, "nf_tables")], ids=["rules", "tables alone"]
)
def test_own_iptables_speak_to_the_front_end_that_has_rules(machine: Machine, saved: str, note: str) -> None:
    machine.brings_all().has_legacy_tables(saved)
    chosen = machine.choices()["iptables"]
    backend = "legacy" if note == "legacy" else "nft"
    assert chosen.note == note
    assert chosen.links["ip6tables-save"] == machine.aux / f"ip6tables-{backend}-save"


def test_a_kernel_without_nftables_gets_legacy(machine: Machine) -> None:
    machine.brings_all().brings("iptables-nft", does="exit 3")
    assert machine.choices()["iptables"].note == "legacy"


def test_the_hosts_nft_front_end_gives_way_to_its_legacy_one_where_that_has_rules(machine: Machine) -> None:
    machine.brings_all().has_legacy_tables(RULES).has(*IPTABLES.programs, does=NFT)
    assert machine.choices()["iptables"].source == "runtime image", "the host has no other"
    machine.has(*front_ends("legacy")).has("iptables-legacy-save", does=RULES)
    chosen = machine.choices()["iptables"]
    assert (chosen.source, chosen.note) == ("host", "legacy")
    assert chosen.links["iptables"] == machine.bin / "iptables-legacy"


def test_the_hosts_iptables_say_what_they_are(machine: Machine) -> None:
    machine.has(*IPTABLES.programs, does=NFT)
    assert str(machine.choices()["iptables"]) == "iptables (nf_tables)"
    machine.has(*IPTABLES.programs)
    assert str(machine.choices()["iptables"]) == "iptables (legacy)"


def test_links_follow_the_choice(machine: Machine, tmp_path: Path) -> None:
    directory = tmp_path / "agent/programs"
    machine.brings_all()
    link(machine.choices().values(), directory)
    assert (directory / "iptables").readlink() == machine.aux / "iptables-nft"
    untouched = (directory / "ip").lstat().st_ino
    machine.has("mount", "umount").has_legacy_tables(RULES)
    link(machine.choices().values(), directory)
    assert not (directory / "mount").is_symlink()
    assert (directory / "iptables").readlink() == machine.aux / "iptables-legacy"
    assert (directory / "ip").lstat().st_ino == untouched, "it is in use"


def test_the_summary_groups_by_source(machine: Machine) -> None:
    machine.brings_all().has("modprobe", "ip")
    found = summary(machine.choices().values())
    assert found["host"] == ["modprobe", "ip"]
    assert "iptables (nf_tables)" in found["runtime image"]


def test_the_hosts_path_is_without_our_own_directories() -> None:
    path = "/var/lib/rancher/rke2/bin:/usr/bin:/var/lib/rancher/rke2/agent/programs:/bin"
    assert host_path(Path("/var/lib/rancher/rke2"), path) == "/usr/bin:/bin"
