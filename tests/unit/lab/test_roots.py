from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from rke2.errors import LabError
from rke2_lab import roots
from rke2_lab.toolbox import interpreter


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(roots.VARIABLE, raising=False)


def archive(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("etc/name")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("var/run")
        link.type, link.linkname = tarfile.SYMTYPE, "/run"
        tar.addfile(link)
    return path


def test_hosts_have_a_root_of_their_own_where_the_content_has_one(tmp_path: Path) -> None:
    assert roots.chosen("") == roots.MACHINE
    assert roots.chosen("", tmp_path) == roots.MACHINE
    debian = archive(tmp_path / "hosts/debian.tar")
    musl = archive(tmp_path / "hosts/musl.tar")
    assert roots.chosen("", tmp_path) == str(debian)
    assert roots.chosen("musl", tmp_path) == str(musl)
    assert roots.chosen(str(musl)) == str(musl)
    assert roots.chosen("machine", tmp_path) == roots.MACHINE


def test_the_variable_is_asked_when_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian = archive(tmp_path / "hosts/debian.tar")
    monkeypatch.setenv(roots.VARIABLE, "machine")
    assert roots.chosen("", tmp_path) == roots.MACHINE
    assert roots.chosen("debian", tmp_path) == str(debian)


def test_an_unknown_root_is_named_with_those_there_are(tmp_path: Path) -> None:
    archive(tmp_path / "hosts/debian.tar")
    with pytest.raises(LabError, match="alpine") as raised:
        roots.chosen("alpine", tmp_path)
    assert "machine, debian" in raised.value.remedy


def test_an_archive_is_unpacked_once_and_another_one_beside_it(tmp_path: Path) -> None:
    file, state = archive(tmp_path / "a.tar", "one"), tmp_path / "labs"
    first = roots.unpacked(str(file), state)
    assert first is not None
    assert (first / "etc/name").read_text() == "one"
    assert (first / "var/run").readlink() == Path("/run")
    inode = first.stat().st_ino
    assert roots.unpacked(str(file), state) == first
    assert first.stat().st_ino == inode
    other = roots.unpacked(str(archive(file, "two")), state)
    assert other != first
    assert first.is_dir(), "its hosts run on"
    assert roots.unpacked(roots.MACHINE, state) is None


def test_a_damaged_archive_leaves_nothing(tmp_path: Path) -> None:
    file = archive(tmp_path / "a.tar")
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(LabError, match="cannot unpack"):
        roots.unpacked(str(file), tmp_path / "labs")
    assert [path.name for path in (tmp_path / "labs/.roots").iterdir()] == ["lock"]


def test_what_was_unpacked_goes_with_the_last_lab(tmp_path: Path) -> None:
    state = tmp_path / "labs"
    roots.unpacked(str(archive(tmp_path / "a.tar")), state)
    (state / "another").mkdir()
    roots.remove_unused(state)
    assert (state / ".roots").is_dir()
    (state / "another").rmdir()
    roots.remove_unused(state)
    assert list(state.iterdir()) == []


def test_the_loader_of_a_program_is_read_from_it() -> None:
    program = shutil.which("ls")
    assert program
    found = interpreter(Path(program))
    assert found is not None
    assert found.is_file()
    assert interpreter(found) is None, "a loader needs none"
