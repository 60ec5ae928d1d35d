"""Files of an installation: exchanged, kept, put back; cut off anywhere and done again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from rke2.config.paths import Paths
from rke2.errors import ConfigError
from rke2.installation import exchange, journal
from rke2.installation.journal import FilePlace

FILES = [
    PurePosixPath(name)
    for name in (
        "bin/rke2",
        "bin/rke2-killall.sh",
        "lib/systemd/system/rke2-server.env",
        "lib/systemd/system/rke2-server.service",
        "share/rke2/10-images.yaml",
        "share/rke2/version",
    )
]


def _targets(tmp_path: Path) -> list[str]:
    paths = Paths(data_dir=tmp_path / "dd", config_dir=tmp_path / "etc")
    found = exchange.places(
        tmp_path / "new", FILES, tmp_path / "usr", [tmp_path / "shelf/rke2-images-core.tar.zst"], paths
    )
    return [str(Path(place.target).relative_to(tmp_path)) for place in found]


def test_the_program_comes_after_what_it_needs(tmp_path: Path) -> None:
    assert _targets(tmp_path) == [
        "etc/config.yaml.d/10-images.yaml",
        "dd/agent/images/rke2-images-core.tar.zst",
        "usr/bin/rke2-killall.sh",
        "usr/share/rke2/10-images.yaml",
        "usr/bin/rke2",
        "usr/share/rke2/version",
    ]


def test_a_unit_is_exchanged_where_there_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "usr/lib/systemd/system/rke2-server.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    assert str(unit.relative_to(tmp_path)) in _targets(tmp_path)


def _ready(tmp_path: Path) -> list[FilePlace]:
    """Four files: a program, an archive, one that is new, and one that stays as it is."""
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    old.mkdir()
    journal.directory(tmp_path).mkdir()
    for name in ("program", "archive", "added", "same"):
        (new / name).write_text("same" if name == "same" else f"new {name}")
        if name != "added":
            (old / name).write_text("same" if name == "same" else f"old {name}")
    return [
        FilePlace(str(new / name), str(old / name), linked=name == "archive")
        for name in ("program", "archive", "added", "same")
    ]


def _content(tmp_path: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((tmp_path / "old").iterdir())}


OLD = {"archive": "old archive", "program": "old program", "same": "same"}
NEW = {"added": "new added", "archive": "new archive", "program": "new program", "same": "same"}


def test_switched_and_put_back(tmp_path: Path) -> None:
    kept = exchange.keep(tmp_path, _ready(tmp_path))
    exchange.switch(kept)
    assert _content(tmp_path) == NEW
    exchange.switch(kept)
    assert _content(tmp_path) == NEW
    exchange.put_back(tmp_path, kept)
    assert _content(tmp_path) == OLD
    exchange.put_back(tmp_path, kept)
    assert _content(tmp_path) == OLD


def test_archives_take_no_room_twice(tmp_path: Path) -> None:
    kept = exchange.keep(tmp_path, _ready(tmp_path))
    exchange.switch(kept)
    assert (tmp_path / "old/archive").samefile(tmp_path / "new/archive")
    assert not (tmp_path / "old/program").samefile(tmp_path / "new/program")


def _killed_at(work: Callable[[], object], call: int) -> bool:
    """Run `work` in a child that is killed at its n-th rename or removal; whether it came that far."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    counted = 0

    def counting(original: Callable[..., object]) -> Callable[..., object]:
        def call_or_die(*arguments: object, **named: object) -> object:
            nonlocal counted
            counted += 1
            if counted == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return call_or_die

    for name in ("replace", "rename", "unlink"):
        setattr(Path, name, counting(getattr(Path, name)))
    work()
    os._exit(0)


@pytest.mark.parametrize("call", range(1, 9))
def test_a_switch_that_is_killed_anywhere_can_be_undone_and_done(tmp_path: Path, call: int) -> None:
    kept = exchange.keep(tmp_path, _ready(tmp_path))
    assert _killed_at(lambda: exchange.switch(kept), call)
    exchange.put_back(tmp_path, kept)
    assert _content(tmp_path) == OLD
    _killed_at(lambda: exchange.switch(kept), call)
    exchange.switch(kept)
    assert _content(tmp_path) == NEW


@pytest.mark.parametrize("call", range(1, 9))
def test_a_rollback_that_is_killed_anywhere_is_gone_on_with(tmp_path: Path, call: int) -> None:
    kept = exchange.keep(tmp_path, _ready(tmp_path))
    exchange.switch(kept)
    _killed_at(lambda: exchange.put_back(tmp_path, kept), call)
    exchange.put_back(tmp_path, kept)
    assert _content(tmp_path) == OLD


def test_keeping_that_is_killed_is_done_again(tmp_path: Path) -> None:
    places = _ready(tmp_path)
    assert _killed_at(lambda: exchange.keep(tmp_path, places), 1)
    kept = exchange.keep(tmp_path, places)
    exchange.switch(kept)
    exchange.put_back(tmp_path, kept)
    assert _content(tmp_path) == OLD


def test_names_of_images_that_somebody_changed_are_not_overwritten(tmp_path: Path) -> None:
    paths = Paths(data_dir=tmp_path / "dd", config_dir=tmp_path / "etc")
    installed, used = tmp_path / "usr" / exchange.DROP_IN, exchange.drop_in(paths)
    exchange.refuse_changed_drop_in(tmp_path / "usr", paths)
    for file in (installed, used):
        file.parent.mkdir(parents=True)
        file.write_text("runtime-image: a\n")
    exchange.refuse_changed_drop_in(tmp_path / "usr", paths)
    used.write_text("runtime-image: mine\n")
    with pytest.raises(ConfigError, match="changed here"):
        exchange.refuse_changed_drop_in(tmp_path / "usr", paths)
