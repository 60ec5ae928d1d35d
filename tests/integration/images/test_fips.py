"""What `rke2 images verify --fips` proves of the built distribution, and that it can say no."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from rke2.cli import images_verify
from tests.binaries import DIRECTORY
from tests.integration.images.test_import import members
from tests.unit.content.archive_maker import write_archive

pytestmark = pytest.mark.content

DIST = DIRECTORY.parent


def layer_of(path: Path, program: Path) -> bytes:
    """A layer with `program` in it."""
    with tarfile.open(path, "w") as tar:
        tar.add(program, "bin/program")
    return path.read_bytes()


def test_the_whole_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    if not list(DIST.glob("rke2-images-*.tar.zst")):
        pytest.skip(f"no archives in {DIST}")
    code = images_verify.run([str(DIST), "--fips", "-o", "json"])
    reports = json.loads(capsys.readouterr().out)
    assert [problem for report in reports for problem in report["problems"]] == []
    assert code == 0
    programs = {
        Path(program["path"]).name
        for report in reports
        for found in report["programs"].values()
        for program in found
    }
    assert programs >= {
        "kubelet",
        "kubernetes",
        "etcd",
        "containerd",
        "runc",
        "coredns",
        "flanneld",
        "helm",
    }
    assert all("nginx-ingress-controller" in line for report in reports for line in report["exempt"])


def test_a_program_of_another_toolchain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go = shutil.which("go") or pytest.skip("there is no Go")
    content = members("reg.example/go:v1", layer_of(tmp_path / "layer", Path(go).resolve()))
    archive = write_archive(tmp_path / "go.tar.zst", content)
    assert images_verify.run([str(archive), "--fips"]) == 1
    assert "/bin/program: not FIPS: " in capsys.readouterr().err
    assert images_verify.run([str(archive)]) == 0


def test_a_program_of_the_distribution_whose_proof_was_taken_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "etcdutl"
    if not (DIRECTORY / program.name).is_file():
        pytest.skip(f"{program.name} is not built")
    content = (DIRECTORY / program.name).read_bytes()
    for marker in (b"_Cfunc__goboringcrypto_", b""):
        program.write_bytes(content.replace(marker, b"_Cfunc__goOtherCrypto__") if marker else content)
        archive = write_archive(
            tmp_path / "x.tar", members("reg.example/x:v1", layer_of(tmp_path / "layer", program))
        )
        assert images_verify.run([str(archive), "--fips"]) == (1 if marker else 0)
    assert "calls into the BoringCrypto module are missing" in capsys.readouterr().err
