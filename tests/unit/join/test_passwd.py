from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import PKIError
from rke2.join.passwd import Passwd

PASSWORDS = st.text(st.characters(exclude_categories=["C"]), min_size=1)


def test_the_two_rows(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    Passwd("for servers", "for agents").write(path)
    assert path.read_text() == "for agents,node,node,rke2:agent\nfor servers,server,server,rke2:server\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not Passwd("for servers", "for agents").write(path)


@given(PASSWORDS, PASSWORDS)
def test_any_password_survives(tmp_path_factory: pytest.TempPathFactory, server: str, node: str) -> None:
    path = tmp_path_factory.getbasetemp() / "passwd"
    Passwd(server, node).write(path)
    assert Passwd.read(path) == Passwd(server, node)


def test_a_legacy_file_gives_both_the_nodes_password(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("old,node,node,rke2:agent\n")
    assert Passwd.read(tmp_path / "passwd") == Passwd("old", "old")


def test_no_file_is_no_password(tmp_path: Path) -> None:
    assert Passwd.read(tmp_path / "passwd") is None


@pytest.mark.parametrize(
    "content", [b"a,node", b"x,admin,admin,masters\n", b"\xff\xfe", b'"open,node,node,g\n']
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(content)
    with pytest.raises(PKIError, match=str(path)):
        Passwd.read(path)
