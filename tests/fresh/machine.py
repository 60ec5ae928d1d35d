"""An empty Debian: mmdebstrap's ``minbase``, entered with mounts and processes of its own.

It has the repository, the Go toolchain and the module cache, and what any machine has to have here to reach package
registries at all: the certificate authorities and pip's settings of this one. Nothing else of this machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distribution.builder.places import Places

REPOSITORY = Path(__file__).parents[2]
CHECKOUT = "/root/rke2"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
_CACHE = "/root/.cache/rke2-distribution"

# Not chroot(2) alone: who joins the mount namespace of a test host would find the root of this machine.
_ENTER = f"""
set -e
root=$1 goroot=$2 caches=$3 cold=$4 script=$5
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/usr/local/go"
mount --bind -o ro "$goroot" "$root/usr/local/go"
share() {{
    own="$root/.written/$1" place="$root{_CACHE}/$1"
    mkdir -p "$own/upper" "$own/work" "$place"
    mount -t overlay -o "lowerdir=$caches/$1,upperdir=$own/upper,workdir=$own/work" none "$place"
}}
share go-mod
[ "$cold" = cold ] || share go-build
cd "$root"
mkdir -p .machine
pivot_root . .machine
umount -l .machine
exec chroot . /bin/sh -ec "$script"
"""

GIVE_CACHES_BACK = f'for cache in {_CACHE}/go-*; do ! grep -q " $cache " /proc/mounts || umount $cache; done'
"""Before they are removed with everything else."""


@dataclass(frozen=True)
class Fresh:
    """An empty Debian.

    Args:
        cold: without the compiler's cache, so that everything is compiled.
    """

    root: Path
    cold: bool

    def run(self, script: str, log: Path, timeout: float) -> int:
        """Run a shell script in the checkout as root, its output into `log`; the exit code.

        Everything that it started ends with it.
        """
        with log.open("wb") as out:
            done = subprocess.run(
                self._command(f"cd {CHECKOUT}\n{script}"),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=timeout,
                check=False,
            )
        return done.returncode

    def _command(self, script: str) -> list[str]:
        asked = ["go", "env", "GOROOT"]
        goroot = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        cold = "cold" if self.cold else "warm"
        caches = str(Places.default().cache)
        return [*unshare, "sh", "-c", _ENTER, "enter", str(self.root), goroot, caches, cold, script]


def _environment() -> Mapping[str, str]:
    """Of this process only what says how registries are reached."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "http", "HTTP", "no_", "NO_"))
    }
    asked = ["go", "env", "GOPROXY", "GOSUMDB"]
    proxy, sums = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return {
        **kept,
        "HOME": "/root",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "GOPROXY": proxy,
        "GOSUMDB": sums,
    }


@contextmanager
def fresh(suite: str, directory: Path, *, cold: bool) -> Iterator[Fresh]:
    """An empty Debian of `suite` below `directory`, on a disk; removed afterwards, or by the next run."""
    root = directory / suite
    if root.exists():  # its mounts were in a namespace, which ended with the run that was killed
        shutil.rmtree(root)
    make = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", suite, str(root)]
    subprocess.run(make, check=True, timeout=1200)
    try:
        _give_authorities(root)
        _give_checkout(root)
        yield Fresh(root, cold)
    finally:
        shutil.rmtree(root)


def _give_authorities(root: Path) -> None:
    shutil.copy(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
    # Where pip's settings name packages on disk.
    for place in map(Path, shlex.split(os.environ.get("PIP_FIND_LINKS", ""))):
        if place.is_dir():
            shutil.copytree(place, root / place.relative_to("/"), dirs_exist_ok=True)
    for own in _OWN_AUTHORITIES.glob("*.crt"):
        shutil.copy(own, root / own.relative_to("/"))


def _give_checkout(root: Path) -> None:
    """The files of the repository as they are now, committed or not."""
    target = root / CHECKOUT.lstrip("/")
    listed = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source = REPOSITORY / name
        if source.exists() or source.is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
