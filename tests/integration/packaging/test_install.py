"""``make install``: what it puts where, and that a failure leaves nothing half done."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.integration.packaging.conftest import REPOSITORY, install

PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def tampered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels under the names and versions of the pinned packages, which pip would take for newer builds of them."""
    wheels = tmp_path_factory.mktemp("wheels")
    for name, version in PINNED.findall((REPOSITORY / "packaging/requirements/runtime.txt").read_text()):
        write_wheel(wheels, name.replace("-", "_"), version)
    return wheels


def write_wheel(directory: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-9-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"tampered_{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


IMAGES = "/srv/images"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, dist: Path, tampered: Path) -> Path:
    """An installation under another prefix, with packages in reach that are not the pinned ones."""
    root, before = tmp_path_factory.mktemp("elsewhere"), _source_files()
    settings = {
        "PREFIX": "/opt/rke2",
        "INSTALL_RKE2_AGENT_IMAGES_DIR": IMAGES,
        "PIP_FIND_LINKS": str(tampered),
    }
    done = install(root, DIST=str(dist), **settings)
    assert done.returncode == 0, done.stderr
    assert _source_files() <= before, "nothing was built in the source tree"
    return root


def test_files_under_another_prefix(elsewhere: Path) -> None:
    root = elsewhere
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
        "opt/rke2/share/rke2/rke2-new-cas.sh": 0o644,
        # Without the list of images: rke2 would pull what it names.
        "srv/images/rke2-images-core.linux-amd64.tar.zst": 0o644,
    }
    unit = (root / "etc/systemd/system/rke2-server.service").read_text()
    assert "ExecStart=/opt/rke2/bin/rke2 server\n" in unit
    assert "EnvironmentFile=-/opt/rke2/lib/systemd/system/%N.env\n" in unit
    program = root / "opt/rke2/lib/rke2/bin/rke2"
    assert program.read_text().startswith("#!/opt/rke2/lib/rke2/bin/python\n")
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


def test_only_the_pinned_builds_of_packages_are_installed(elsewhere: Path) -> None:
    """Others are passed over as long as there is the right one."""
    packages = elsewhere / "opt/rke2/lib/rke2/lib"
    assert list(packages.rglob("tampered_*")) == []
    assert list(packages.rglob("aiohttp/__init__.py"))


def test_without_the_pinned_builds_nothing_is_installed(tmp_path: Path, dist: Path, tampered: Path) -> None:
    root = tmp_path / "root"
    done = install(root, DIST=str(dist), PIP_FIND_LINKS=str(tampered), PIP_NO_INDEX="1")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (root / "usr/local/lib/rke2").exists()


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
