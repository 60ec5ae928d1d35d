"""``make install``: what it puts where, and that a failure leaves nothing half done."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.integration.packaging.conftest import REPOSITORY, install

WITHOUT_DEPENDENCIES = {"PIP_NO_DEPS": "1"}
"""Makes an installation quick whose program is not run."""


def test_files_under_another_prefix(tmp_path: Path, dist: Path) -> None:
    root, images, before = tmp_path / "root", "/srv/images", _source_files()
    done = install(
        root, DIST=str(dist), PREFIX="/opt/rke2", INSTALL_RKE2_AGENT_IMAGES_DIR=images, **WITHOUT_DEPENDENCIES
    )
    assert done.returncode == 0, done.stderr
    assert _files(root, skip="opt/rke2/lib/rke2/") == {
        "etc/rancher/rke2/config.yaml.d/10-images.yaml": 0o644,
        "etc/systemd/system/rke2-agent.service": 0o644,
        "etc/systemd/system/rke2-server.service": 0o644,
        "opt/rke2/bin/rke2": 0o755,
        "opt/rke2/bin/rke2-killall.sh": 0o755,
        "opt/rke2/bin/rke2-uninstall.sh": 0o755,
        "opt/rke2/lib/systemd/system/rke2-agent.env": 0o644,
        "opt/rke2/lib/systemd/system/rke2-server.env": 0o644,
        "opt/rke2/share/rke2/LICENSE.txt": 0o644,
        "opt/rke2/share/rke2/rke2-cis-sysctl.conf": 0o644,
        # Without the list of images: rke2 would pull what it names.
        "srv/images/rke2-images-core.linux-amd64.tar.zst": 0o644,
    }
    unit = (root / "etc/systemd/system/rke2-server.service").read_text()
    assert "ExecStart=/opt/rke2/bin/rke2 server\n" in unit
    assert "EnvironmentFile=-/opt/rke2/lib/systemd/system/%N.env\n" in unit
    program = root / "opt/rke2/lib/rke2/bin/rke2"
    assert program.read_text().startswith("#!/opt/rke2/lib/rke2/bin/python\n")
    assert _source_files() <= before, "nothing was built in the source tree"
    assert (root / "opt/rke2/bin/rke2").readlink() == Path("../lib/rke2/bin/rke2")


def _files(root: Path, skip: str) -> dict[str, int]:
    found = {
        str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
        if not path.is_dir()
    }
    return {path: mode for path, mode in found.items() if not path.startswith(skip)}


@pytest.mark.content
def test_nothing_names_the_staging_directory(staged: Path) -> None:
    found = subprocess.run(
        ["grep", "-rl", "--exclude=*.tar.zst", str(staged), staged],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


@pytest.mark.content
def test_the_program_tells_its_commit(staged: Path) -> None:
    python = staged / "usr/local/lib/rke2/bin/python"
    done = subprocess.run([python, "-m", "rke2", "--version"], capture_output=True, text=True, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert head.stdout.strip() in done.stdout


def _source_files() -> set[Path]:
    return {*REPOSITORY.glob("build/*"), *REPOSITORY.glob("src/*")}


def test_an_installation_that_fails_leaves_the_old_one(tmp_path: Path, dist: Path) -> None:
    root = tmp_path / "root"
    program = root / "usr/local/lib/rke2/bin/rke2"
    program.parent.mkdir(parents=True)
    program.write_text("the old one")
    done = install(root, DIST=str(dist), PIP_NO_INDEX="1")
    assert done.returncode != 0
    assert program.read_text() == "the old one"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DIST": "/nonexistent"}, "has no image archives; build them with `make content`"),
        ({"PREFIX": "opt/rke2"}, "PREFIX=opt/rke2 is not an absolute path"),
        ({"PYTHON": "/bin/false"}, "/bin/false is not Python 3.11 or newer"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    tmp_path: Path, dist: Path, settings: dict[str, str], message: str
) -> None:
    done = install(tmp_path / "root", **({"DIST": str(dist)} | settings))
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "root").exists()


def test_scripts_pass_shellcheck() -> None:
    shellcheck = shutil.which("shellcheck") or pytest.skip("shellcheck is not installed")
    scripts = sorted((REPOSITORY / "packaging").glob("*.sh"))
    assert scripts
    done = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
