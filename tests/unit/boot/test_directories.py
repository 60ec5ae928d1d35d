from __future__ import annotations

from pathlib import Path

import pytest

from rke2.boot.directories import directories, prepare
from rke2.errors import HostError
from tests.configs import paths_under


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("server", [True, False])
def test_new_directories(tmp_path: Path, server: bool) -> None:
    paths = paths_under(tmp_path)
    prepare(paths, server=server)
    wanted = directories(paths, server=server)
    assert {path: _mode(path) for path in wanted} == dict(wanted)
    assert paths.server.exists() == server
    assert _mode(paths.data_dir) == 0o755, "programs below it are everybody's"


def test_rights_are_taken_from_what_was_there(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    paths.images.mkdir(parents=True)
    paths.server.mkdir(mode=0o777)
    prepare(paths, server=True)
    assert (_mode(paths.agent), _mode(paths.server)) == (0o750, 0o700)


def test_what_is_narrower_stays(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    paths.agent.mkdir(parents=True, mode=0o700)
    prepare(paths, server=False)
    assert _mode(paths.agent) == 0o700


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    paths.data_dir.mkdir(parents=True)
    paths.agent.write_text("")
    with pytest.raises(HostError, match=str(paths.agent)):
        prepare(paths, server=False)
