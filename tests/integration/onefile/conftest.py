"""The one file in roots that have nothing: a Debian without Python, busybox with musl."""

from __future__ import annotations

import os
import shlex
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
FILE = REPOSITORY / "build/release/rke2.linux-amd64"
HOSTS = REPOSITORY / "build/dist/hosts"
RKE2 = "/usr/local/bin/rke2"
DATA = "/var/lib/rancher/rke2/data"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


@dataclass(frozen=True)
class Root:
    """A root file system; each command in it has mount and process namespaces of its own."""

    path: Path

    def start(
        self,
        command: Sequence[str],
        *,
        mounts: Sequence[str] = (),
        env: Mapping[str, str] = ENVIRONMENT,
        user: int = 0,
        umask: int = 0o022,
    ) -> subprocess.Popen[str]:
        """Begin `command`.

        Args:
            mounts: shell commands that change what is mounted, in the root.
            user: its number, and that of its group.
        """
        root = shlex.quote(str(self.path))
        steps = [
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /dev {root}/dev",
            f"cd {root}",
            *mounts,
            f"umask {umask:03o}",
            f"exec chroot --userspec={user}:{user} . env -i "
            + shlex.join([*(f"{name}={value}" for name, value in env.items()), *command]),
        ]
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        return subprocess.Popen(
            [*namespaces, "sh", "-ec", "\n".join(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run `command` to its end."""
        process = self.start(command, **options)  # type: ignore[arg-type]
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def rke2(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run ``rke2 <arguments>``."""
        return self.run(RKE2, *arguments, **options)

    def below(self, path: str) -> Path:
        """Where `path` of the root is on this machine."""
        return self.path / path.lstrip("/")

    def unpacked(self, place: str = DATA) -> list[str]:
        """What is in the directory of unpacked programs, but for the lock."""
        directory = self.below(place)
        names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
        return sorted(name for name in names if name != ".program.lock")


def make_root(kind: str, path: Path) -> Root:
    """The root `kind` of the lab, with the file at its place."""
    if os.geteuid() != 0:
        pytest.skip("changing the root needs root")
    if not FILE.exists() or not (HOSTS / f"{kind}.tar").exists():
        if os.environ.get("CI"):
            pytest.fail("the one file is not built: `make dist content`")
        pytest.skip("the one file is not built: `make dist content`")
    with tarfile.open(HOSTS / f"{kind}.tar") as archive:
        archive.extractall(path, filter="fully_trusted")
    root = Root(path)
    place = root.below(RKE2)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(FILE.read_bytes())
    place.chmod(0o755)
    path.chmod(0o755)
    return root


@pytest.fixture(params=["debian", "musl"])
def any_root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    """Each kind of root."""
    return make_root(request.param, tmp_path / "root")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """One that is quick to make."""
    return make_root("musl", tmp_path / "root")
