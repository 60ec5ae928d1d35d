"""One real installation into a staging directory, shared by all tests of packaging."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def install(destdir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """``make install`` into `destdir`."""
    return subprocess.run(
        ["make", "--no-print-directory", "install", f"DESTDIR={destdir}", *_make_variables(settings)],
        cwd=REPOSITORY,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )


def _make_variables(settings: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items() if name in ("PREFIX", "DIST", "PYTHON")]


@pytest.fixture(scope="package")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distribution that is quick to install: nothing reads what is in its archive."""
    made = tmp_path_factory.mktemp("dist")
    (made / "rke2-images-core.linux-amd64.tar.zst").write_bytes(b"archive")
    (made / "rke2-images-core.linux-amd64.txt").write_text("docker.io/example/image:v1\n")
    (made / "10-images.yaml").write_text("pause-image: docker.io/example/pause:v1\n")
    return made


@pytest.fixture(scope="package")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built distribution and the program, installed with the default prefix."""
    if not list((REPOSITORY / "build/dist").glob("*.tar.zst")):
        pytest.skip("the distribution is not built")
    destdir = tmp_path_factory.mktemp("staged") / "root"
    done = install(destdir)
    assert done.returncode == 0, done.stderr
    return destdir
