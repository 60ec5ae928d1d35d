from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rke2_lab.mountinfo import MountEntry, filesystem_of, mounts, parse


def test_optional_fields_are_skipped() -> None:
    line = "36 35 98:0 /mnt1 /mnt2 rw,noatime shared:7 master:1 - ext3 /dev/root rw,errors=continue"
    assert parse(line) == MountEntry(Path("/mnt1"), Path("/mnt2"), "ext3", "/dev/root", "rw,errors=continue")


def test_no_optional_fields() -> None:
    assert parse("22 27 0:21 / /proc rw - proc proc rw").fstype == "proc"


def _escape(text: str) -> str:
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in text)


@given(st.text(st.characters(codec="ascii", exclude_characters="/\0\r\v\f\x1c\x1d\x1e"), min_size=1))
def test_any_name_survives_the_kernels_escaping(name: str) -> None:
    line = f"1 2 0:3 / /mnt/{_escape(name)} rw - tmpfs {_escape(name)} rw"
    entry = parse(line)
    assert (entry.point, entry.source) == (Path("/mnt") / name, name)


def test_this_machine_has_a_root() -> None:
    assert Path("/") in {entry.point for entry in mounts()}


def _entry(point: str, fstype: str) -> MountEntry:
    return MountEntry(Path("/"), Path(point), fstype, fstype, "rw")


def test_filesystem_is_the_deepest_and_the_last_mounted() -> None:
    entries = [_entry("/", "ext4"), _entry("/var", "xfs"), _entry("/var", "btrfs"), _entry("/v", "tmpfs")]
    assert filesystem_of(Path("/var/lib"), entries).fstype == "btrfs"
    assert filesystem_of(Path("/variable"), entries).fstype == "ext4"
