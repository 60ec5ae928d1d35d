"""Releases, and hosts to install them on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rke2_lab import roots
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from tests.integration.release.made import NEW, OLD, REPOSITORY, release
from tests.integration.release.target import Target

CONTENT = REPOSITORY / "build/dist"


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of releases, by version."""
    if not shutil.which("rpmbuild"):
        pytest.skip("rpmbuild is not installed")
    base = tmp_path_factory.mktemp("releases")
    for version in (OLD, NEW):
        made = release(base / f".{version}", version)
        made.rename(base / version)
    return base


@contextmanager
def _host(root: str, releases: Path) -> Iterator[LabHost]:
    """A host with the releases below /var/tmp/releases."""
    if os.geteuid() != 0:
        pytest.skip("test hosts need root")
    if root != roots.MACHINE and not (CONTENT / "hosts" / f"{root}.tar").is_file():
        pytest.skip("the distribution is not built")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        lab = Lab(Path(directory) / "labs", f"r{root}{os.getpid()}"[:20], roots.chosen(root, CONTENT))
        try:
            host = lab.add_host("server-0")
            shutil.copytree(releases, host.path("/var/tmp/releases"), ignore=shutil.ignore_patterns(".*"))
            yield host
        finally:
            lab.down()


@pytest.fixture(scope="package")
def debian(releases: Path) -> Iterator[LabHost]:
    """A host with the least of a Debian."""
    with _host("debian", releases) as host:
        yield host


@pytest.fixture(scope="package")
def busybox(releases: Path) -> Iterator[LabHost]:
    """A host with busybox and another C library."""
    with _host("musl", releases) as host:
        yield host


@pytest.fixture(params=["debian", "busybox"])
def bare(request: pytest.FixtureRequest) -> LabHost:
    """Each of the hosts that have next to nothing."""
    host: LabHost = request.getfixturevalue(request.param)
    return host


@pytest.fixture(scope="package")
def machine(releases: Path) -> Iterator[LabHost]:
    """A host that has what this machine has: curl, wget, dpkg, rpm."""
    with _host(roots.MACHINE, releases) as host:
        yield host


@pytest.fixture
def target(bare: LabHost) -> Iterator[Target]:
    """The bare host, as it was before the test when it ends."""
    target = Target(bare)
    yield target
    target.clean()
