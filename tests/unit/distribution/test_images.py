from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from distribution.builder import archives, images, oci, sbom
from distribution.builder.errors import RecipeError
from distribution.builder.images import Description, Stock

TOOLBOX = """
name = "toolbox"
title = "Tools"
component = "alpha"
entrypoint = ["/bin/alpha"]
cmd = ["--help"]
user = "1000"

[[directory]]
path = "/home/user"
uid = 1000

[[file]]
path = "/bin/alpha"
binary = "alpha/alpha"

[[file]]
path = "/bin/beta"
binary = "beta/beta"

[[file]]
path = "/bin/gamma"
target = "beta"

[[file]]
path = "/etc/passwd"
text = "root:x:0:0::/:\\n"
mode = 0o644
"""


def describe(tmp_path: Path, text: str = TOOLBOX) -> Description:
    directory = tmp_path / "images"
    directory.mkdir(exist_ok=True)
    (directory / "toolbox.toml").write_text(text)
    return images.load_all(directory)["toolbox"]


def members_of(path: Path) -> list[tuple[str, bytes]]:
    """Names and contents in the order of the file."""
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        return [(member.name, file.read()) for member in tar if (file := tar.extractfile(member)) is not None]


def test_an_image_says_what_it_is_and_runs(tmp_path: Path, stock: Stock) -> None:
    image = images.assemble(describe(tmp_path), stock)
    config = json.loads(image.config.data)
    assert image.reference == "docker.io/rke2py/toolbox:v1.2.3"
    assert config["config"]["Entrypoint"] == ["/bin/alpha"]
    assert config["config"]["Cmd"] == ["--help"]
    assert config["config"]["User"] == "1000"
    assert "WorkingDir" not in config["config"]
    assert config["config"]["Labels"] == {
        "org.opencontainers.image.title": "Tools",
        "org.opencontainers.image.version": "v1.2.3",
        "org.opencontainers.image.source": "https://example.com/alpha",
        "org.opencontainers.image.revision": "h1:abc=",
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == 3


def test_a_changed_component_replaces_its_own_layer_only(tmp_path: Path, stock: Stock) -> None:
    description = describe(tmp_path)
    before = images.assemble(description, stock)
    stock.components["beta"].binary("beta").write_bytes(b"new")
    after = images.assemble(description, stock)
    changed = [old != new for old, new in zip(before.layers, after.layers, strict=True)]
    assert changed == [False, False, True]
    assert before.manifest.digest != after.manifest.digest


def test_the_archive_is_an_oci_layout_and_a_docker_archive(tmp_path: Path, stock: Stock) -> None:
    image = images.assemble(describe(tmp_path), stock)
    archives.write([image], tmp_path / "a.tar.zst")
    members = dict(members_of(tmp_path / "a.tar.zst"))
    assert list(members)[:3] == ["manifest.json", "index.json", "oci-layout"]
    for name, data in members.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"

    entry = json.loads(members["index.json"])["manifests"][0]
    assert entry["annotations"]["io.containerd.image.name"] == image.reference
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "v1.2.3"
    manifest = _blob(members, entry)
    config = _blob(members, manifest["config"])
    assert [layer["digest"] for layer in manifest["layers"]] == config["rootfs"]["diff_ids"]

    docker = json.loads(members["manifest.json"])[0]
    assert docker["RepoTags"] == [image.reference]
    assert json.loads(members[docker["Config"]]) == config
    assert [f"blobs/{layer['digest'].replace(':', '/')}" for layer in manifest["layers"]] == docker["Layers"]


def test_rke2_and_k3s_can_read_the_archive(tmp_path: Path, stock: Stock) -> None:
    """Their reader refuses a longer window: ``window size exceeded``."""
    archives.write([images.assemble(describe(tmp_path), stock)], tmp_path / "a.tar.zst")
    head = (tmp_path / "a.tar.zst").read_bytes()[:32]
    assert zstandard.get_frame_parameters(head).window_size <= 32 << 20


def _blob(members: dict[str, bytes], descriptor: dict[str, Any]) -> Any:
    data = members["blobs/" + descriptor["digest"].replace(":", "/")]
    assert len(data) == descriptor["size"]
    return json.loads(data)


def test_building_twice_gives_the_same_bytes(tmp_path: Path, stock: Stock) -> None:
    description = describe(tmp_path)
    for name in ("first", "second"):
        archives.write([images.assemble(description, stock)], tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_layer_that_images_share_is_written_once(tmp_path: Path, stock: Stock) -> None:
    image = images.assemble(describe(tmp_path), stock)
    other = oci.Image("docker.io/rke2py/other:v1", image.layers, image.run, {})
    archives.write([image, other], tmp_path / "a.tar.zst")
    names = [name for name, _ in members_of(tmp_path / "a.tar.zst")]
    assert len(names) == len(set(names))
    assert [name for name in names if "sha256" in name] == [
        oci.blob_path(digest) for digest, _ in [*image.blobs(), *other.blobs()[:2]]
    ]


def test_the_bill_of_materials_lists_programs_and_modules(tmp_path: Path, stock: Stock) -> None:
    description = describe(tmp_path)
    document = sbom.document(images.assemble(description, stock), description, stock)
    packages = {package["SPDXID"]: package for package in document["packages"]}
    module = packages["SPDXRef-go-example.com-alpha-v1.2.3"]
    assert module["externalRefs"][0]["referenceLocator"] == "pkg:golang/example.com/alpha@v1.2.3"
    assert packages["SPDXRef-program-beta-beta"]["licenseDeclared"] == "Apache-2.0"
    libc = packages["SPDXRef-static-libc6-dev-2.36-9"]
    assert libc["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/libc6-dev@2.36-9"
    related = {link["relatedSpdxElement"] for link in document["relationships"]}
    assert related == packages.keys()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('target = "beta"', "", "`file` '/bin/gamma': exactly one of"),
        ('target = "beta"', 'target = "beta"\nbinary = "beta/beta"', "exactly one of"),
        ('binary = "beta/beta"', 'binary = "beta"', "<component>/<binary>"),
        ('title = "Tools"', "", "missing required field `title`"),
        ('name = "toolbox"', 'name = "other"', "the file is 'toolbox'"),
    ],
)
def test_a_wrong_description_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        describe(tmp_path, TOOLBOX.replace(old, new))
    assert "toolbox.toml" in str(caught.value)
