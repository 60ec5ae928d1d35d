from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rke2.cli import images_verify
from rke2.content.images.verification import EXEMPT_FROM_FIPS, verify_archive
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture
from tests.integration.images.test_import import descriptor, members, path_of
from tests.unit.content.archive_maker import layer, write_archive
from tests.unit.content.test_gobinary import LINKED, PT_LOAD, program

NAME = "reg.example/thing:v1"
GOOD = layer(
    {"bin/good": program(PT_LOAD), "bin/sh": b"#!/bin/sh\n", "lib/c.so": b"\x7fELF\x02\x01" + bytes(99)}
)
BAD = layer({"bin/bad": program(PT_LOAD, code=LINKED.replace(b"sig.BoringCrypto", b"sig.StandardCrypto"))})


def problems(archive: Path, **options: Any) -> tuple[str, ...]:
    defaults: dict[str, Any] = {"sums": {}, "boms": {}, "programs": True}
    return verify_archive(archive, **{**defaults, **options}).problems


@pytest.mark.parametrize("layout", ["oci first", "oci last", "docker"])
@pytest.mark.parametrize("suffix", [".tar", ".tgz", ".tar.zst"])
def test_a_good_archive(tmp_path: Path, layout: str, suffix: str) -> None:
    archive = write_archive(tmp_path / f"x{suffix}", members(NAME, GOOD, layout=layout))
    report = verify_archive(archive, sums={}, boms={}, programs=True)
    assert report.problems == ()
    assert [found.path for found in report.programs[NAME]] == ["/bin/good"]


def test_a_program_without_boringcrypto_is_named_and_that_of_ingress_is_exempt(tmp_path: Path) -> None:
    (problem,) = problems(write_archive(tmp_path / "x.tar", members(NAME, GOOD, BAD)))
    assert problem == f"{NAME}: /bin/bad: not FIPS: Go's BoringCrypto marker function is missing"
    ingress = f"docker.io/rke2py/{next(iter(EXEMPT_FROM_FIPS))}:v1"
    report = verify_archive(
        write_archive(tmp_path / "y.tar", members(ingress, BAD)), sums={}, boms={}, programs=True
    )
    assert report.problems == ()
    assert "ingress-nginx is exempt" in report.exempt[0]


def test_without_fips_no_program_is_looked_at(tmp_path: Path) -> None:
    assert problems(write_archive(tmp_path / "x.tar", members(NAME, BAD)), programs=False) == ()


def test_damage_is_named(tmp_path: Path) -> None:
    content = members(NAME, GOOD)
    lacking = {name: blob for name, blob in content.items() if blob is not GOOD}
    assert "lacks" in problems(write_archive(tmp_path / "lacking.tar", lacking))[0]
    lying = {**content, path_of(GOOD): BAD}
    assert "another content than its digest" in problems(write_archive(tmp_path / "lying.tar", lying))[0]
    false = members(NAME, GOOD, false_layer=True)
    assert "a layer has another content" in problems(write_archive(tmp_path / "false.tar", false))[0]
    foreign = members(NAME, GOOD, architecture="riscv64")
    assert "linux/riscv64" in problems(write_archive(tmp_path / "foreign.tar", foreign))[0]
    (tmp_path / "garbage.tar.zst").write_bytes(b"garbage")
    assert "garbage.tar.zst is truncated" in problems(tmp_path / "garbage.tar.zst")[0]


def place(directory: Path) -> Path:
    """An archive with its checksum file and its bill of materials."""
    content = members(NAME, GOOD)
    archive = write_archive(directory / "x.tar.zst", content)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (directory / "sha256sum-amd64.txt").write_text(f"{digest}  x.tar.zst\n")
    write_bill(directory, ["prog@v1.0.0", "forked@v0.3.0", "local@v0.4.0"])
    return archive


def write_bill(directory: Path, modules: list[str], digest: str = "") -> None:
    digest = digest or json.loads(members(NAME, GOOD)["index.json"])["manifests"][0]["digest"]
    image = {
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest.removeprefix("sha256:")}],
    }
    packages = [
        {"externalRefs": [{"referenceLocator": f"pkg:golang/example.com/{module}"}]} for module in modules
    ]
    (directory / "sbom").mkdir(exist_ok=True)
    (directory / "sbom/thing.spdx.json").write_text(
        json.dumps({"name": NAME, "packages": [image, *packages]})
    )


def test_what_lies_beside_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = place(tmp_path)
    assert images_verify.run([str(tmp_path), "--fips"]) == 0
    assert capsys.readouterr().out.startswith(f"{archive}: 1 images, 1 Go programs: ok\n")

    write_bill(tmp_path, ["prog@v1.0.0"])
    assert images_verify.run([str(archive), "--fips"]) == 1
    assert "the bill of materials lacks: example.com/forked v0.3.0" in capsys.readouterr().err

    write_bill(tmp_path, [], digest=str(descriptor("", b"")["digest"]))
    assert images_verify.run([str(archive)]) == 1
    assert "its bill of materials is that of sha256:" in capsys.readouterr().err

    (tmp_path / "sbom/thing.spdx.json").write_text("[]")
    with pytest.raises(ContentError, match=r"thing\.spdx\.json is no bill of materials"):
        images_verify.run([str(archive)])


def test_another_file_than_the_checksum_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = place(tmp_path)
    write_archive(archive, members(NAME, BAD))
    assert images_verify.run([str(tmp_path), "-o", "json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert "x.tar.zst is not the file that its checksum file lists" in report["problems"][0]
    assert oci_architecture()


def test_a_directory_without_archives(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="there are no image archives"):
        images_verify.run([str(tmp_path)])
