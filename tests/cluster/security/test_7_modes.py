"""A node's files and directories have the modes that ``docs/security.md`` says, and there are no others."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from tests.cluster.members import Members

PATHS = Paths()
DOCUMENT = Path(__file__).parents[3] / "docs/security.md"
ROW = re.compile(r"\| (?P<paths>`[^|]+`) \| (?P<modes>[0-7, ]+) \|(?P<what>[^|]*)\|")

ROOTS = {
    PATHS.data_dir: "<dd>",
    PATHS.config_dir: "/etc/rancher/rke2",
    PATHS.node_config_dir: "/etc/rancher/node",
}
"""What is walked, and what the table calls it."""

_CLOSED = "with all below"
"""Begins the last cell of a directory whose content another program makes."""


class Entry:
    """A row of the table: patterns of paths, the modes that they may have, whether all below is another program's."""

    def __init__(self, row: re.Match[str]) -> None:
        self.patterns = re.findall(r"`([^`]+)`", row["paths"])
        self.modes = {int(mode, 8) for mode in row["modes"].replace(" ", "").split(",")}
        self.closed = row["what"].strip().startswith(_CLOSED)
        self.used = False

    def matches(self, path: str) -> bool:
        return any(_matches(path, pattern) for pattern in self.patterns)


def _matches(path: str, pattern: str) -> bool:
    """`pattern` as of a shell, part by part."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    section = DOCUMENT.read_text().partition("## What lies where")[2].partition("\n## ")[0]
    found = [Entry(row) for row in ROW.finditer(section)]
    assert len(found) > 20
    return found


@pytest.fixture(scope="module", autouse=True)
def snapshot(pair: Members) -> None:
    """A server has one at the latest after twelve hours."""
    assert pair["server-0"].node.rke2("etcd-snapshot", "save", timeout=120).returncode == 0


def walk(directory: Path, name: str, entries: list[Entry]) -> Iterator[str]:
    """What is wrong with `directory`, which the table calls `name`, and with all below it.

    Links are left out: they have no mode.
    """
    found = directory.lstat()
    if stat.S_ISLNK(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return
    mode, entry = stat.S_IMODE(found.st_mode), next((each for each in entries if each.matches(name)), None)
    if entry is None:
        yield f"{name} {mode:04o}: not in the table"
        return
    entry.used = True
    if mode not in entry.modes or found.st_uid != 0:
        yield f"{name} {mode:04o} of user {found.st_uid}: not as in the table"
    if stat.S_ISDIR(found.st_mode) and not entry.closed:
        for each in sorted(directory.iterdir()):
            yield from walk(each, f"{name}/{each.name}", entries)


@pytest.mark.parametrize("name", ["server-0", "agent-0"])
def test_everything_on_disk_has_the_mode_of_the_table(pair: Members, entries: list[Entry], name: str) -> None:
    host = pair[name].node.host
    wrong = [each for root, short in ROOTS.items() for each in walk(host.path(root), short, entries)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_row_of_the_table_is_of_something(pair: Members, entries: list[Entry]) -> None:
    """Runs after the walks: what no node makes has no row."""
    assert [each.patterns for each in entries if not each.used] == []


@pytest.mark.parametrize("name", ["server-0", "agent-0"])
def test_an_ordinary_user_reads_no_secret(pair: Members, name: str) -> None:
    """By their modes and those of all directories above, as the kernel decides."""
    node = pair[name].node
    find = ["find", *map(str, ROOTS), "-readable", "-type", "f"]
    as_nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--inh-caps=-all",
        *find,
    ]
    readable = node.host.exec(as_nobody, timeout=120).stdout.split()
    assert readable, "the programs at least"
    secret = [
        path
        for path in readable
        if _holds_a_secret(node.host.path(Path(path)), (pair.lab.token, "PRIVATE KEY"))
    ]
    assert not secret
    assert not [path for path in readable if path.startswith((str(PATHS.agent), str(PATHS.server)))]


def _holds_a_secret(file: Path, words: tuple[str, ...]) -> bool:
    if file.stat().st_size > 1 << 20:  # programs
        return False
    content = file.read_bytes()
    return any(word.encode() in content for word in words)
