"""Small releases: real tarballs, packages and checksums, around a program that only tells its version and waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
OLD, NEW = "v1.36.4+rke2py1", "v1.36.5+rke2py1"
ARCHIVES = ("calico", "canal", "core", "runtime")

_PROGRAM = """#!/bin/sh
case $1 in
    --version) echo "rke2 version {version} (HEAD)" ;;
    server | agent)
        mkdir -p /var/lib/rancher/rke2
        echo $$ >/var/lib/rancher/rke2/rke2.lock
        while :; do sleep 1; done
        ;;
esac
"""


def release(directory: Path, version: str) -> Path:
    """A release of `version`, made as the real one is."""
    dist, program = directory / "dist", directory / "rke2"
    dist.mkdir(parents=True)
    program.write_text(_PROGRAM.format(version=version))
    program.chmod(0o755)
    for name in ARCHIVES:
        (dist / f"rke2-images-{name}.linux-amd64.tar.zst").write_text(f"images {name} of {version}\n")
        (dist / f"rke2-images-{name}.linux-amd64.txt").write_text(f"docker.io/example/{name}:{version}\n")
    head = "# The images of this build, by the flags that name them.\n"
    (dist / "10-images.yaml").write_text(
        f"{head}pause-image: docker.io/example/pause:{version.split('+')[0]}\n"
    )
    made = directory / "release"
    build(dist, program, version, made)
    return made


def build(dist: Path, program: Path, version: str, target: Path) -> None:
    """Run the code that makes releases."""
    options = {"--dist": dist, "--program": program, "--version": version, "--release": target}
    words = [str(word) for pair in options.items() for word in pair]
    subprocess.run([sys.executable, "-m", "distribution.packages", *words], cwd=REPOSITORY, check=True)
