""".deb and .rpm: ``install.sh`` with package managers, upgrades, removals; what runs when they come and go."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rke2_lab.host import LabHost
from tests.integration.release.made import NEW, OLD, build, release
from tests.integration.release.target import DROP_IN, IMAGES, RELEASES, Target

pytestmark = [pytest.mark.root, pytest.mark.content]

OWNED = {
    "/usr/bin/rke2": "755",
    "/usr/bin/rke2-killall.sh": "755",
    "/usr/bin/rke2-uninstall.sh": "755",
    "/usr/share/rke2/10-images.yaml": "644",
    "/usr/share/rke2/LICENSE.txt": "644",
    "/usr/share/rke2/rke2-cis-sysctl.conf": "644",
    "/usr/share/rke2/rke2-new-cas.sh": "644",
    "/usr/share/rke2/version": "644",
    DROP_IN: "644",
}
PLACES = ("/usr/bin/rke2*", "/usr/share/rke2", "/usr/lib/systemd/system/rke2*", "/etc/rancher/rke2")
RECORDER = '#!/bin/sh\necho "$@" >>/var/tmp/systemctl\n'
"""For systemctl: a test host has no systemd. Its own would say so and fail."""


@dataclass(frozen=True)
class Manager:
    """A package manager: how it is asked what is installed, and told to remove."""

    method: str
    known: str
    remove: str


DEB = Manager("deb", "dpkg-query -W -f '${binary:Package}\\n' 'rke2-*' 2>/dev/null || :", "dpkg --purge")
RPM = Manager("rpm", "rpm -qa 'rke2-*' --qf '%{NAME}\\n'", "rpm -e")


@pytest.fixture(scope="module", params=[DEB, RPM], ids=["deb", "rpm"])
def manager(request: pytest.FixtureRequest) -> Manager:
    chosen: Manager = request.param
    return chosen


@pytest.fixture(scope="module")
def managed(machine: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A host with both package managers; rpm knows of nothing, so a package tells it that there is a shell."""
    shell = shell_package(tmp_path_factory.mktemp("shell"))
    machine.path("/var/tmp/shell.rpm").write_bytes(shell.read_bytes())
    target = Target(machine)
    target.sh("rm -rf /var/lib/rpm; rpm --initdb && rpm -i /var/tmp/shell.rpm")
    target.write("/usr/bin/systemctl", RECORDER)
    target.sh("chmod 755 /usr/bin/systemctl; mkdir -p /run/systemd/system")
    return target


def shell_package(directory: Path) -> Path:
    """A package that provides /bin/sh, as every system with rpm has one."""
    directory.mkdir(exist_ok=True)
    spec = directory / "shell.spec"
    head = (
        "Name: shell\nVersion: 1\nRelease: 1\nSummary: s\nLicense: s\nBuildArch: noarch\nProvides: /bin/sh\n"
    )
    spec.write_text(f"{head}%description\ns\n%files\n")
    command = ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {directory}", str(spec)]
    subprocess.run(command, check=True, capture_output=True)
    return directory / "RPMS/noarch/shell-1-1.noarch.rpm"


@pytest.fixture
def target(managed: Target, manager: Manager) -> Iterator[Target]:
    managed.clean()
    yield managed
    managed.sh(f"for p in server agent common; do {manager.remove} rke2-$p >/dev/null 2>&1 || :; done")
    managed.sh("rm -rf /etc/rancher/* /var/lib/rancher/* /var/tmp/systemctl")


def install(target: Target, manager: Manager, version: str, **variables: str) -> str:
    done = target.install(version, METHOD=manager.method, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def packages(target: Target, manager: Manager) -> set[str]:
    return set(target.sh(manager.known).split())


def owned(target: Target) -> dict[str, str]:
    found = target.sh(f"find {' '.join(PLACES)} -type f -exec stat -c '%n %a' {{}} + 2>/dev/null || :")
    return dict(line.rsplit(" ", 1) for line in found.splitlines())


def units(role: str) -> dict[str, str]:
    return {f"/usr/lib/systemd/system/rke2-{role}.{kind}": "644" for kind in ("service", "env")}


@pytest.mark.parametrize("role", ["server", "agent"])
def test_what_is_put_where(target: Target, manager: Manager, role: str) -> None:
    said = install(target, manager, OLD, TYPE=role)
    assert f"rke2 {OLD} is installed in /usr\nstart it with: systemctl enable --now rke2-{role}\n" in said
    assert owned(target) == OWNED | units(role)
    assert packages(target, manager) == {"rke2-common", f"rke2-{role}"}
    assert target.sh("rke2 --version") == f"rke2 version {OLD} (HEAD)\n"
    unit = target.read(f"/usr/lib/systemd/system/rke2-{role}.service")
    assert f"ExecStart=/usr/bin/rke2 {role}\n" in unit and "/usr/local" not in unit
    assert target.read(f"{IMAGES}/rke2-images-core.linux-amd64.tar.zst") == f"images core of {OLD}\n"
    assert set(target.read("/var/tmp/systemctl").splitlines()) == {"daemon-reload"}, "nothing is started"


def test_an_upgrade_stops_nothing_and_keeps_the_configuration(target: Target, manager: Manager) -> None:
    install(target, manager, OLD)
    target.write("/etc/rancher/rke2/config.yaml", "cni: canal\n")
    install(target, manager, NEW)
    assert target.sh("rke2 --version") == f"rke2 version {NEW} (HEAD)\n"
    assert target.read("/etc/rancher/rke2/config.yaml") == "cni: canal\n"
    assert "pause:v1.36.5" in target.read(DROP_IN)
    assert set(target.read("/var/tmp/systemctl").splitlines()) == {"daemon-reload"}


def test_names_of_images_that_an_operator_changed_stay(target: Target, manager: Manager) -> None:
    install(target, manager, OLD)
    target.sh(f"echo 'pause-image: mine' >{DROP_IN}")
    install(target, manager, NEW)
    assert target.read(DROP_IN) == "pause-image: mine\n"
    assert any(path != DROP_IN and path.startswith(DROP_IN) for path in owned(target)), (
        "the new ones lie beside"
    )


def test_a_downgrade_needs_to_be_asked_for(target: Target, manager: Manager) -> None:
    install(target, manager, NEW)
    done = target.install(OLD, METHOD=manager.method)
    assert done.returncode == 1
    assert f"{OLD} is older than the installed {NEW}" in done.stderr
    assert target.sh("rke2 --version") == f"rke2 version {NEW} (HEAD)\n"
    install(target, manager, OLD, ALLOW_DOWNGRADE="true")
    assert target.sh("rke2 --version") == f"rke2 version {OLD} (HEAD)\n"


def test_one_way_of_installation_at_a_time(target: Target, manager: Manager) -> None:
    install(target, manager, OLD)
    done = target.install(NEW)
    assert done.returncode == 1
    assert f"error: rke2 was installed here as a package ({manager.method})\n" in done.stderr
    target.sh(f"{manager.remove} rke2-server rke2-common")
    target.sh("rm -rf /var/lib/rancher/*")
    target.installed(OLD)
    done = target.install(NEW, METHOD=manager.method)
    assert done.returncode == 1
    assert "error: rke2 was installed here without packages, in /usr/local\n" in done.stderr


def test_a_removal_ends_the_service_and_keeps_the_data(target: Target, manager: Manager) -> None:
    install(target, manager, OLD)
    target.write("/var/lib/rancher/rke2/server/token", "secret\n")
    target.sh(f"rm /var/tmp/systemctl; {manager.remove} rke2-server")
    assert "--quiet disable --now rke2-server.service" in target.read("/var/tmp/systemctl").splitlines()
    assert owned(target) == OWNED
    assert target.read("/var/lib/rancher/rke2/server/token") == "secret\n"


def test_uninstall_leaves_nothing(target: Target, manager: Manager) -> None:
    install(target, manager, OLD)
    target.write("/etc/rancher/rke2/config.yaml", "cni: canal\n")
    target.sh("/usr/bin/rke2-uninstall.sh")
    assert owned(target) == {}
    assert packages(target, manager) == set()
    assert target.sh("ls -A /var/lib/rancher /etc/rancher") == "/etc/rancher:\n\n/var/lib/rancher:\n"


def test_a_damaged_package_is_refused(target: Target, manager: Manager) -> None:
    damage = f"for p in *.{manager.method}; do echo >>$p; done"
    done = target.refused(damage, {"INSTALL_RKE2_METHOD": manager.method})
    assert done.returncode == 1 and "is damaged: its checksum is not the one in" in done.stderr
    assert packages(target, manager) == set()


def test_server_and_agent_need_the_same_version_of_the_program(target: Target, manager: Manager) -> None:
    install(target, manager, OLD)
    manage = "rpm -U" if manager is RPM else "dpkg -i"
    done = target.run(["sh", "-c", f"{manage} {RELEASES}/{NEW}/rke2-server*.{manager.method}"])
    assert done.returncode != 0
    assert "rke2-common" in done.stderr


# --- roots with nothing in them ----------------------------------------------------------------------
def test_rpm_in_an_empty_root(releases: Path, tmp_path: Path) -> None:
    """The least of a Debian is the root: scripts run in it, and rpm's database begins there."""
    archive = Path(__file__).parents[3] / "build/dist/hosts/debian.tar"
    if not archive.is_file():
        pytest.skip("the distribution is not built")
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", root], check=True)

    def rpm(*arguments: object) -> str:
        command = ["rpm", "--root", str(root), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # Debian's rpm always says on standard error what it thinks of being used there.
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    rpm("-i", shell_package(tmp_path / "shell"))
    for option, version in (("-i", OLD), ("-U", NEW)):
        rpm(option, *sorted((releases / version).glob("*.rpm")))
        assert (root / "usr/share/rke2/version").read_text() == f"{version}\n"
    assert rpm("-V", "rke2-common", "rke2-server", "rke2-agent") == ""
    rpm("-e", "rke2-server", "rke2-agent", "rke2-common")
    assert [path for path in root.rglob("*rke2*") if "lib/rpm" not in str(path)] == []


@pytest.mark.long
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_deb_in_an_empty_debian(releases: Path, tmp_path: Path, suite: str) -> None:
    root = tmp_path / "root"
    make = ["mmdebstrap", "--quiet", "--variant=essential", suite, str(root)]
    subprocess.run(make, check=True, timeout=540)
    for version in (OLD, NEW):
        shutil.copytree(releases / version, root / "srv" / version)

    def sh(script: str) -> str:
        done = subprocess.run(
            ["chroot", root, "sh", "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for version in (OLD, NEW):
        sh(f"dpkg -i /srv/{version}/*.deb")
        assert sh("rke2 --version") == f"rke2 version {version} (HEAD)\n"
    assert sh("dpkg --verify rke2-common rke2-server rke2-agent") == ""
    sh("dpkg --remove rke2-agent rke2-server rke2-common")
    assert sh("ls /etc/rancher/rke2/config.yaml.d") == "10-images.yaml\n", "a removal keeps configuration"
    sh("dpkg --purge rke2-agent rke2-server rke2-common")
    assert [path for path in root.rglob("*rke2*") if "srv" not in path.parts] == []


def test_the_same_sources_make_the_same_release(releases: Path, tmp_path: Path) -> None:
    release(tmp_path, OLD)
    again = tmp_path / "again"
    build(tmp_path / "dist", tmp_path / "rke2", OLD, again)
    for made in (tmp_path / "release", again):
        for file in sorted((releases / OLD).iterdir()):
            assert (made / file.name).read_bytes() == file.read_bytes(), file.name
