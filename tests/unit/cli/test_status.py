from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.cli import status
from rke2.errors import HostError
from rke2.lifecycle.progress import Progress

NOBODY = 65534


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[None]:
    """For the length of a test this process is an ordinary user, who may look into `tmp_path`."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.is_relative_to("/tmp/pytest-of-root"):
            directory.chmod(0o755)
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)
    os.setegid(0)
    os.setgroups(groups)


@pytest.mark.root
@pytest.mark.parametrize("options", [[], ["--wait"], ["-o", "json"]])
def test_an_ordinary_user_is_told_to_ask_as_root(
    tmp_path: Path, options: list[str], request: pytest.FixtureRequest
) -> None:
    Progress(tmp_path / "status.json", "server", "v1").ready()
    request.getfixturevalue("nobody")
    with pytest.raises(HostError, match="permission denied") as raised:
        status.run(["--data-dir", str(tmp_path), "--timeout", "1s", *options])
    assert str(tmp_path / "status.json") in raised.value.message
    assert raised.value.remedy == "run `rke2 status` as root"


def test_a_node_that_never_ran_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.run(["--data-dir", str(tmp_path)]) == 1
    assert "never run" in capsys.readouterr().out


def test_the_state_file_is_for_root(tmp_path: Path) -> None:
    Progress(tmp_path / "status.json", "server", "v1").ready()
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o640
