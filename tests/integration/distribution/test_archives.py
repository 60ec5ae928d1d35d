"""The archives of the built distribution: whole, reproducible, and taken by a real containerd."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from distribution.builder import archives, images, release
from distribution.builder.archives import Archive
from distribution.builder.layers import Digest
from distribution.builder.places import Places
from distribution.builder.release import Release
from rke2.version import KUBERNETES_VERSION
from tests.containerd import bare_containerd
from tests.isolation import isolated

pytestmark = pytest.mark.content
NAMES = [archive.name for archive in archives.load(Places.default().plan).archives]


@pytest.fixture(scope="module")
def plan() -> Release:
    return release.load(Places.default())


@pytest.fixture(params=NAMES)
def archive(request: pytest.FixtureRequest, plan: Release) -> Archive:
    """Each archive that is built."""
    found = plan.archive(request.param)
    if not plan.archive_directory(found).is_dir():
        pytest.skip(f"{found.stem} is not built")
    return found


@pytest.fixture
def path(plan: Release, archive: Archive) -> Path:
    return plan.places.dist / f"{archive.stem}.tar.zst"


def blobs_of(path: Path) -> Iterator[tuple[str, Digest, bytes]]:
    """Name, digest and first bytes of each member."""
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            head = content.read(1 << 16)
            digest = hashlib.sha256(head)
            while chunk := content.read(1 << 20):
                digest.update(chunk)
            yield member.name, Digest(digest.hexdigest(), member.size), head


def test_every_blob_is_what_its_name_and_its_descriptor_say(path: Path) -> None:
    members = {name: (digest, head) for name, digest, head in blobs_of(path)}
    assert [*members][:3] == ["manifest.json", "index.json", "oci-layout"]
    blobs = {name: digest for name, (digest, _) in members.items() if name.startswith("blobs/")}
    assert all(name == f"blobs/sha256/{digest.sha256}" for name, digest in blobs.items())

    def follow(descriptor: dict[str, Any]) -> bytes:
        digest, head = members["blobs/" + descriptor["digest"].replace(":", "/")]
        assert digest.size == descriptor["size"]
        return head

    for entry in json.loads(members["index.json"][1])["manifests"]:
        manifest = json.loads(follow(entry))
        config = json.loads(follow(manifest["config"]))
        for layer in manifest["layers"]:
            follow(layer)
        assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_rke2_and_k3s_can_read_the_archive(path: Path) -> None:
    """Their reader takes windows up to 32 MiB."""
    with path.open("rb") as file:
        assert zstandard.get_frame_parameters(file.read(32)).window_size <= 32 << 20


def test_lists_and_checksums_agree_with_the_archive(plan: Release, archive: Archive, path: Path) -> None:
    references = path.with_name(f"{archive.stem}.txt").read_text().splitlines()
    assert references == [
        images.reference(description, plan.components) for description in plan.described(archive)
    ]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"{sha256}  {path.name}" in (path.parent / "sha256sum-amd64.txt").read_text().splitlines()
    for description in plan.described(archive):
        document = json.loads((path.parent / f"sbom/{description.name}.spdx.json").read_text())
        assert document["packages"][0]["name"] == description.name


def test_assembling_again_gives_the_same_archive(
    plan: Release, archive: Archive, path: Path, tmp_path: Path
) -> None:
    again = [images.assemble(description, plan.stock) for description in plan.described(archive)]
    archives.write(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.root
def test_containerd_takes_every_archive_and_the_tools_of_the_base_run(plan: Release, tmp_path: Path) -> None:
    wanted = plan.wanted(optional=False)
    paths = [plan.places.dist / f"{archive.stem}.tar.zst" for archive in wanted]
    if missing := [path.name for path in paths if not path.exists()]:
        pytest.skip(f"not built: {missing}")
    with isolated() as host, bare_containerd(host, tmp_path) as containerd:
        ctr = containerd.ctr
        for path in paths:
            done = host.run(*ctr, "images", "import", path, timeout=120)
            assert done.returncode == 0, done.stderr
        listed = host.run(*ctr, "images", "ls", "-q").stdout.split()
        described = [image for archive in wanted for image in plan.described(archive)]
        references = [images.reference(image, plan.components) for image in described]
        assert {*references} <= {*listed}

        kubernetes = images.reference(plan.descriptions["hardened-kubernetes"], plan.components)
        root = tmp_path / "image"
        root.mkdir()
        assert host.run(*ctr, "images", "mount", kubernetes, root).returncode == 0
        for command, output in TOOLS.items():
            done = host.run("chroot", root, *command.split())
            assert output in done.stdout + done.stderr, (command, done)
        host.run(*ctr, "images", "unmount", "--rm", root)


TOOLS = {
    "kube-apiserver --version": f"Kubernetes {KUBERNETES_VERSION}",
    "iptables --version": "(nf_tables)",
    "iptables-legacy --version": "(legacy)",
    "iptables-save": "",
    "ip6tables-restore --version": "ip6tables-restore v",
    "nft list ruleset": "",
    "ipset --version": "protocol version",
    "conntrack --version": "conntrack-tools",
    "ip -brief link": "lo",
    "tc -V": "iproute2",
    "modprobe --version": "kmod version",
}
