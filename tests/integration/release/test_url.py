"""``install.sh`` from a URL, with curl, GNU's wget and that of busybox: versions, channels, what is not to be had."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2_lab.host import LabHost
from tests.integration.release.made import NEW, OLD
from tests.integration.release.server import PORT
from tests.integration.release.target import IMAGES, PATH, RELEASES, Target

pytestmark = [pytest.mark.root, pytest.mark.content]

BASE = f"http://127.0.0.1:{PORT}"
SCRIPT = "/var/tmp/install.sh"
"""Alone, as somebody has it who downloaded it."""
WITHOUT_CURL = "/var/tmp/nocurl"
_HIDE_CURL = f"mkdir -p {WITHOUT_CURL} && ln -sf /usr/bin/* {WITHOUT_CURL} && rm {WITHOUT_CURL}/curl"


def served(host: LabHost) -> subprocess.Popen[bytes]:
    server = host.path("/var/tmp/server.py")
    server.write_text(Path(__file__).with_name("server.py").read_text())
    host.exec(["sh", "-c", f"cp {RELEASES}/{OLD}/install.sh {SCRIPT}"], check=True)
    running = host.popen([host.python, "/var/tmp/server.py", RELEASES])
    asked = f"import socket; socket.create_connection(('127.0.0.1', {PORT})).close()"
    for _ in range(50):
        if host.exec([host.python, "-c", asked]).returncode == 0:
            return running
    raise AssertionError("the server does not listen")


@pytest.fixture(scope="module", params=["curl", "wget", "busybox"])
def online(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A host that reaches the releases with one kind of client."""
    if request.param == "busybox":
        target = Target(request.getfixturevalue("busybox"))
    else:
        target = Target(request.getfixturevalue("machine"))
        if request.param == "wget":
            target.sh(_HIDE_CURL)
            target.path = {"PATH": f"/usr/local/bin:{WITHOUT_CURL}"}
    server = served(target.host)
    target.clean()
    yield target
    server.kill()
    server.wait()


@pytest.fixture
def target(online: Target) -> Iterator[Target]:
    yield online
    online.clean()


def from_url(target: Target, **variables: str) -> subprocess.CompletedProcess[str]:
    return target.install(script=SCRIPT, **({"ARTIFACT_URL": BASE} | variables))


@pytest.mark.parametrize(
    ("variables", "version"),
    [
        ({}, NEW),
        ({"CHANNEL": "old"}, OLD),
        ({"CHANNEL_URL": f"{BASE}/moved/"}, NEW),
        ({"VERSION": OLD, "CHANNEL": "nowhere"}, OLD),
        ({"ARTIFACT_URL": f"{BASE}/", "VERSION": OLD}, OLD),
    ],
)
def test_the_release_that_is_asked_for(target: Target, variables: dict[str, str], version: str) -> None:
    done = from_url(target, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert target.sh("rke2 --version") == f"rke2 version {version} (HEAD)\n"
    assert target.read(f"{IMAGES}/rke2-images-core.linux-amd64.tar.zst") == f"images core of {version}\n"
    assert target.sh(f"ls -A {IMAGES} {IMAGES}/..").split() == [
        f"{IMAGES}:",
        *(f"rke2-images-{name}.linux-amd64.tar.zst" for name in ("canal", "core", "runtime")),
        f"{IMAGES}/..:",
        "images",
    ]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"CHANNEL": "nowhere"}, f"there is no channel nowhere: {BASE}/channels/nowhere: "),
        ({"CHANNEL": "broken"}, f"the channel broken names no version: {BASE}/channels/broken"),
        ({"VERSION": "v9.9.9"}, f"there is no release v9.9.9: {BASE}/v9.9.9/sha256sum-amd64.txt: "),
        ({"VERSION": "latest"}, "INSTALL_RKE2_VERSION=latest is not a version"),
        ({"ARTIFACT_URL": "http://127.0.0.1:9", "VERSION": OLD}, f"there is no release {OLD}: "),
        ({"ARTIFACT_URL": f"{BASE}/damaged", "VERSION": OLD}, "rke2.linux-amd64.tar.gz is damaged"),
    ],
)
def test_a_refusal_is_one_message_and_changes_nothing(
    target: Target, variables: dict[str, str], message: str
) -> None:
    before = target.listing()
    done = from_url(target, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"install.sh: error: {message}") or message in lines[0]
    assert len(lines) == 2 and lines[1].startswith("            hint: ")
    assert target.listing() == before


def test_the_script_comes_through_a_pipe(target: Target) -> None:
    """As in ``curl … | sh -``."""
    done = target.run(["sh", "-c", f"cat {SCRIPT} | sh -"], {"INSTALL_RKE2_ARTIFACT_URL": BASE})
    assert (done.returncode, done.stderr) == (0, "")
    assert target.sh("rke2 --version") == f"rke2 version {NEW} (HEAD)\n"


def test_an_upgrade_downloads_no_archive_that_is_there(target: Target) -> None:
    assert from_url(target, VERSION=OLD).returncode == 0
    inodes = target.sh(f"ls -i {IMAGES}")
    assert from_url(target, VERSION=OLD).returncode == 0
    assert target.sh(f"ls -i {IMAGES}") == inodes
    assert from_url(target).returncode == 0
    assert target.read(f"{IMAGES}/rke2-images-core.linux-amd64.tar.zst") == f"images core of {NEW}\n"
    done = from_url(target, CHANNEL="old")
    assert done.returncode == 1 and f"{OLD} is older than the installed {NEW}" in done.stderr


def test_a_host_without_a_client(bare: LabHost) -> None:
    if bare.exec(["sh", "-c", "command -v wget"], env=PATH, tools=False).returncode == 0:
        return  # busybox has one
    target = Target(bare)
    done = target.install(ARTIFACT_URL=BASE, VERSION=OLD, script=f"{RELEASES}/{OLD}/install.sh")
    assert done.returncode == 1
    assert done.stderr == (
        "install.sh: error: a release can only be downloaded with curl or wget\n"
        "            hint: install one, or copy the release here and set INSTALL_RKE2_ARTIFACT_PATH\n"
    )
