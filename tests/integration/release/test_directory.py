"""``install.sh`` from a directory, on hosts with the least of a Debian and with busybox: what it puts where."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rke2_lab.host import LabHost
from tests.integration.release.made import NEW, OLD, REPOSITORY
from tests.integration.release.target import DROP_IN, IMAGES, RELEASES, Target

pytestmark = [pytest.mark.root, pytest.mark.content]

PROGRAMS = {
    "bin/rke2": "755",
    "bin/rke2-killall.sh": "755",
    "bin/rke2-uninstall.sh": "755",
    "lib/systemd/system/rke2-agent.env": "644",
    "lib/systemd/system/rke2-agent.service": "644",
    "lib/systemd/system/rke2-server.env": "644",
    "lib/systemd/system/rke2-server.service": "644",
    "share/rke2/10-images.yaml": "644",
    "share/rke2/LICENSE.txt": "644",
    "share/rke2/rke2-cis-sysctl.conf": "644",
    "share/rke2/rke2-new-cas.sh": "644",
    "share/rke2/version": "644",
}
CONTENT = {DROP_IN: "644"} | {
    f"{IMAGES}/rke2-images-{n}.linux-amd64.tar.zst": "644" for n in ("canal", "core", "runtime")
}
PLACES = ("/usr/local", "/opt/rke2", "/etc/rancher", "/etc/systemd", "/var/lib/rancher", "/tmp")


def below(prefix: str) -> dict[str, str]:
    return {f"{prefix}/{path}": mode for path, mode in PROGRAMS.items()}


def test_what_is_put_where(target: Target) -> None:
    said = target.installed(OLD)
    assert target.files(*PLACES) == below("/usr/local") | CONTENT
    assert said == (
        f"rke2 {OLD} is installed in /usr/local\n"
        "there is no systemd here; start it with: /usr/local/bin/rke2 server\n"
    )
    assert target.sh("rke2 --version") == f"rke2 version {OLD} (HEAD)\n"


def test_the_script_finds_the_release_that_it_lies_in(target: Target) -> None:
    assert target.install(ARTIFACT_PATH="").returncode == 0
    assert target.sh("rke2 --version") == f"rke2 version {OLD} (HEAD)\n"


@pytest.mark.parametrize("name", ["TYPE", "EXEC"])
def test_an_agent(target: Target, name: str) -> None:
    assert "start it with: /usr/local/bin/rke2 agent\n" in target.installed(OLD, **{name: "agent"})


def test_again_changes_nothing_that_is_read(target: Target) -> None:
    """The node would import an archive that is another file; also one with the same content."""
    target.installed(OLD)
    inodes = target.sh(f"ls -i {IMAGES}")
    target.installed(OLD)
    assert target.sh(f"ls -i {IMAGES}") == inodes
    assert target.files(*PLACES) == below("/usr/local") | CONTENT


def test_images_elsewhere_of_another_plugin(target: Target) -> None:
    target.installed(OLD, AGENT_IMAGES_DIR="/srv/rke2/images", CNI="calico")
    assert target.sh("ls -A /srv/rke2 /srv/rke2/images").split() == [
        *("/srv/rke2:", "images", "/srv/rke2/images:"),
        *(f"rke2-images-{name}.linux-amd64.tar.zst" for name in ("calico", "core", "runtime")),
    ]


def test_without_images(target: Target) -> None:
    target.installed(OLD, SKIP_IMAGES="true")
    assert target.files("/var/lib/rancher") == {}


def test_another_prefix(target: Target) -> None:
    """Units go where systemd looks."""
    said = target.installed(OLD, TAR_PREFIX="/srv/rke2")
    assert said.startswith(f"rke2 {OLD} is installed in /srv/rke2\n")
    units = {path for path in target.files("/etc/systemd", "/srv/rke2") if path.endswith(".service")}
    assert units == {f"/etc/systemd/system/rke2-{role}.service" for role in ("server", "agent")}
    unit = target.read("/etc/systemd/system/rke2-server.service")
    assert "ExecStart=/srv/rke2/bin/rke2 server\n" in unit
    assert "EnvironmentFile=-/srv/rke2/lib/systemd/system/%N.env\n" in unit
    assert target.files("/usr/local") == {}


@contextmanager
def mounted(target: Target, options: str) -> Iterator[None]:
    target.sh(f"mount -t tmpfs -o {options} none /usr/local")
    try:
        yield
    finally:
        target.sh("umount /usr/local")


@pytest.mark.parametrize("options", ["ro", "rw"])
def test_usr_local_that_is_read_only_or_a_mount_point(target: Target, options: str) -> None:
    with mounted(target, options):
        said = target.installed(OLD)
    assert said.startswith("/usr/local is read-only or a mount point: installing in /opt/rke2\n")
    assert below("/opt/rke2").keys() - target.files("/opt/rke2").keys() == {
        f"/opt/rke2/lib/systemd/system/rke2-{role}.service" for role in ("server", "agent")
    }
    assert "ExecStart=/opt/rke2/bin/rke2 agent\n" in target.read("/etc/systemd/system/rke2-agent.service")


def test_a_read_only_prefix_that_was_asked_for_is_an_error(target: Target) -> None:
    with mounted(target, "ro"):
        done = target.install(OLD, TAR_PREFIX="/usr/local")
    assert done.returncode == 1
    assert (
        "error: /usr/local cannot be written to\n            hint: choose another place with" in done.stderr
    )


# --- upgrades --------------------------------------------------------------------------------------
def test_an_upgrade_disturbs_no_node_and_no_configuration(target: Target) -> None:
    target.installed(OLD)
    kept = {
        "/etc/rancher/rke2/config.yaml": "cni: canal\n",
        "/etc/rancher/rke2/config.yaml.d/50-mine.yaml": "node-label: [a=b]\n",
        "/var/lib/rancher/rke2/server/db/etcd/member": "data\n",
        f"{IMAGES}/mine.tar": "my images\n",
        "/usr/local/lib/systemd/system/rke2-server.env": "HOME=/srv\n",
    }
    for path, text in kept.items():
        target.write(path, text)
    node = target.host.popen(["/usr/local/bin/rke2", "server"])
    try:
        until(target, "test -s /var/lib/rancher/rke2/rke2.lock")
        said = target.installed(NEW)
        time.sleep(0.2)
        assert node.poll() is None
    finally:
        node.kill()
        node.wait()
    assert f"rke2 {NEW} is installed in /usr/local\nthe node that runs here (process " in said
    assert target.sh("rke2 --version") == f"rke2 version {NEW} (HEAD)\n"
    assert {path: target.read(path) for path in kept} == kept
    assert target.read(f"{IMAGES}/rke2-images-core.linux-amd64.tar.zst") == f"images core of {NEW}\n"
    assert "pause:v1.36.5" in target.read(DROP_IN)


def until(target: Target, condition: str) -> None:
    target.sh(f"for try in $(seq 100); do {condition} && exit 0; sleep 0.05; done; exit 1")


def test_names_of_images_that_an_operator_changed_stay(target: Target) -> None:
    target.installed(OLD)
    target.write(DROP_IN, "pause-image: mine\n")
    done = target.install(NEW)
    assert done.returncode == 0
    assert f"warning: {DROP_IN} was changed here and stays" in done.stderr
    assert target.read(DROP_IN) == "pause-image: mine\n"
    assert "pause:v1.36.5" in target.read(f"{DROP_IN}.new")


def test_a_downgrade_needs_to_be_asked_for(target: Target) -> None:
    target.installed(NEW)
    before = target.listing()
    done = target.install(OLD)
    assert done.returncode == 1
    assert done.stderr == (
        f"install.sh: error: {OLD} is older than the installed {NEW}; a node's data may not be readable for it\n"
        "            hint: set INSTALL_RKE2_ALLOW_DOWNGRADE=true if you have a backup\n"
    )
    assert target.listing() == before
    target.installed(OLD, ALLOW_DOWNGRADE="true")
    assert target.sh("rke2 --version") == f"rke2 version {OLD} (HEAD)\n"


def test_an_installation_that_tells_its_version_only_when_asked(target: Target) -> None:
    """Of RKE2, or from a source tree: no file says what is installed."""
    target.installed(NEW)
    target.sh("rm /usr/local/share/rke2/version")
    assert f"older than the installed {NEW}" in target.install(OLD).stderr


ORDER = [
    *("v1.9.9+rke2r1", "v1.36.3-rc2+rke2py1", "v1.36.3+rke2py1", "v1.36.4-alpha1+rke2py9"),
    *("v1.36.4-rc1+rke2py1", "v1.36.4-rc2+rke2py1", "v1.36.4-rc10+rke2py1", "v1.36.4+rke2py1"),
    *("v1.36.4+rke2py2", "v1.36.4+rke2py10", "v1.36.10+rke2py1", "v1.100.0+rke2py1", "v2.0.0+rke2py1"),
]


def test_the_order_of_versions(target: Target) -> None:
    text = (REPOSITORY / "packaging/install.sh").read_text()
    function = text[text.index("is_older() {") :].split("\n}\n")[0] + "\n}\n"
    pairs = [(a, b) for a in ORDER for b in ORDER]
    # Builds of another kind are neither older nor newer.
    pairs += [("v1.36.4+rke2r1", "v1.36.4+rke2py2"), ("v1.36.4+rke2py2", "v1.36.4+rke2r1")]
    calls = [
        f"if is_older {shlex.quote(a)} {shlex.quote(b)}; then echo yes; else echo no; fi\n" for a, b in pairs
    ]
    said = target.sh(function + "".join(calls)).split()
    expected = [ORDER.index(a) < ORDER.index(b) for a in ORDER for b in ORDER] + [False, False]
    wrong = [
        pair for pair, told, right in zip(pairs, said, expected, strict=True) if (told == "yes") != right
    ]
    assert wrong == []


# --- refusals --------------------------------------------------------------------------------------
TARBALL, CORE = "rke2.linux-amd64.tar.gz", "rke2-images-core.linux-amd64.tar.zst"
SUMS = "sha256sum-amd64.txt"
VERIFIED = f"sed -i '/{TARBALL}/d' {SUMS}; sha256sum {TARBALL} >>{SUMS}"
"""What was done to the program is made to look right."""
REFUSALS = {
    "a damaged program": (
        f"printf x >>{TARBALL}",
        {},
        f"{TARBALL} is damaged: its checksum is not the one in",
    ),
    "a truncated program": (
        f"dd if={TARBALL} of=t bs=100 count=1 2>/dev/null; mv t {TARBALL}",
        {},
        "is damaged",
    ),
    "a truncated archive": (f"printf im >{CORE}", {}, f"{CORE} is damaged"),
    "no program": (f"rm {TARBALL}", {}, f"{TARBALL} is missing"),
    "an archive less": (f"rm {CORE}", {}, f"{CORE} is missing"),
    "an archive more": ("echo >rke2-images-mine.tar", {}, "does not name /tmp/broken/rke2-images-mine.tar"),
    "no checksums": ("rm sha256sum-amd64.txt", {}, "sha256sum-amd64.txt is missing: nothing can be verified"),
    "checksums of others": ("echo 0 other >sha256sum-amd64.txt; rm *.zst", {}, f"does not name {TARBALL}"),
    "what is no archive": (
        f"echo x >{TARBALL}; {VERIFIED}",
        {},
        f"{TARBALL} cannot be unpacked in /usr/local: ",
    ),
    "another release": (
        f"tar -czf {TARBALL} install.sh; {VERIFIED}",
        {},
        f"{TARBALL} is not a release of rke2 for this script: no bin/rke2 in it",
    ),
    "another version": (":", {"VERSION": NEW}, f"INSTALL_RKE2_VERSION={NEW}, but the release is {OLD}"),
    "a new prefix": (":", {"TAR_PREFIX": "/srv/deep/place", "VERSION": NEW}, f"but the release is {OLD}"),
    "no such directory": (
        ":",
        {"ARTIFACT_PATH": "/nowhere"},
        "INSTALL_RKE2_ARTIFACT_PATH=/nowhere is not a directory",
    ),
    "another type": (":", {"TYPE": "master"}, "INSTALL_RKE2_TYPE=master is neither server nor agent"),
    "another method": (":", {"METHOD": "snap"}, "INSTALL_RKE2_METHOD=snap is not one of tar, rpm, deb"),
    "a relative prefix": (":", {"TAR_PREFIX": "opt"}, "INSTALL_RKE2_TAR_PREFIX=opt is not an absolute path"),
    "relative images": (
        ":",
        {"AGENT_IMAGES_DIR": "images"},
        "INSTALL_RKE2_AGENT_IMAGES_DIR=images is not an",
    ),
    "another plugin": (":", {"CNI": "weave"}, "INSTALL_RKE2_CNI: weave is not a CNI plugin of this release"),
    "a commit": (":", {"COMMIT": "abc"}, "there are no builds by commit"),
    "rpm without rpm": (":", {"METHOD": "rpm"}, "the program rpm is missing"),
    "deb without dpkg": (":", {"METHOD": "deb"}, "the program dpkg is missing"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_message_and_changes_nothing(bare: LabHost, case: str) -> None:
    spoil, variables, message = REFUSALS[case]
    done = Target(bare).refused(spoil, {f"INSTALL_RKE2_{name}": text for name, text in variables.items()})
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    lines = done.stderr.splitlines()
    assert message in done.stderr
    assert lines[0].startswith("install.sh: error: ")
    assert all(line.startswith("            hint: ") for line in lines[1:]) and len(lines) <= 2


def test_a_refused_upgrade_changes_nothing(target: Target) -> None:
    target.installed(OLD)
    done = target.refused(f"printf x >>{CORE}", {}, NEW)
    assert done.returncode == 1 and f"{CORE} is damaged" in done.stderr


def test_nothing_to_install(target: Target) -> None:
    target.sh(f"cp {RELEASES}/{OLD}/install.sh /tmp")
    done = target.install(script="/tmp/install.sh")
    assert done.returncode == 1
    assert "there is nothing to install: no release beside this script\n            hint: set" in done.stderr


def test_an_unknown_variable_is_told(target: Target) -> None:
    done = target.install(OLD, VERISON="v1")
    assert done.returncode == 0
    assert done.stderr == (
        "install.sh: warning: INSTALL_RKE2_VERISON is not a variable of this script; it is ignored\n"
    )


# --- the end ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("prefix", ["/usr/local", "/opt/rke2"])
def test_uninstall_leaves_nothing(target: Target, prefix: str) -> None:
    target.installed(OLD, TAR_PREFIX=prefix)
    target.installed(NEW, TAR_PREFIX=prefix)
    target.write("/etc/rancher/rke2/config.yaml", "cni: canal\n")
    done = target.run([f"{prefix}/bin/rke2-uninstall.sh"])
    assert (done.returncode, done.stderr) == (0, "")
    ours = [line for line in target.listing() if "rke2" in line]
    assert ours == []
