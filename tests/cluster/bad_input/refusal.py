"""A start that must be refused: what it says, and that it changed nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess

from rke2.config.paths import Paths
from rke2_lab.node import LabNode
from tests.snapshots import snapshot

SECONDS = 60
"""Far above what a refusal takes: a second or two."""

_ACCOUNT = frozenset({"rke2.lock", "status.json"})
"""What every start leaves in the data directory, to tell of itself."""

Tree = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Place:
    """A data directory of its own on a host that others use as well.

    Args:
        node: the host and rke2 on it.
        data_dir: path in the host.
    """

    node: LabNode
    data_dir: Path

    @property
    def paths(self) -> Paths:
        """The paths of the data directory as the host sees them."""
        return Paths(data_dir=self.data_dir)

    def outside(self, path: Path) -> Path:
        """Where a path of the host is on the machine."""
        return self.node.host.path(path)

    def files(self) -> Tree:
        """All files below the data directory and the configuration, with what would change if one was touched.

        Empty directories do not count: they hold nothing.
        """
        roots = {"data": self.outside(self.data_dir), "config": self.outside(self.paths.config_dir)}
        return {
            f"{label}/{name}": identity
            for label, root in roots.items()
            for name, identity in snapshot(root).items()
            if name not in _ACCOUNT and not (root / name).is_dir()
        }

    def server(self, *flags: str, prefix: tuple[str, ...] = ()) -> CompletedProcess[str]:
        """Run ``rke2 server`` in this place to its end.

        Args:
            prefix: a program that runs it, with its arguments.
        """
        command = [*prefix, *self.node.command("server", "--data-dir", str(self.data_dir), *flags)]
        with self.node.popen(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True) as process:
            try:
                output, errors = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
        return CompletedProcess(command, process.returncode, output, errors)

    def refuses(self, *fragments: str, flags: tuple[str, ...] = (), prefix: tuple[str, ...] = ()) -> None:
        """Assert that ``rke2 server`` ends with 1, says all `fragments` and changes no file."""
        before = self.files()
        done = self.server(*flags, prefix=prefix)
        assert done.returncode == 1, done.stderr
        assert_explained(done.stderr, fragments)
        assert changes(before, self.files()) == {}, done.stderr


def assert_explained(output: str, fragments: tuple[str, ...]) -> None:
    """One error, with everything of `fragments` in it, and no traceback."""
    assert "Traceback" not in output
    assert output.count("rke2: error: ") == 1, output
    error = output[output.index("rke2: error: ") :]
    assert [fragment for fragment in fragments if fragment not in error] == [], error


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, str]:
    """What is different between two trees."""
    return {
        name: "gone" if name not in after else "new" if name not in before else "changed"
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
