from __future__ import annotations

import errno
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.content.runtime.image import data_key, ensure_runtime, has_runtime
from rke2.errors import ContentError
from rke2.host.architecture import oci_architecture

from .archive_maker import image_members, layer, write_archive

REFERENCE = "docker.io/rke2py/rke2-runtime:v1.2.3-rke2py1"
FILES = {"bin/kubelet": b"elf", "bin/sub/runc": b"elf2", "charts/a.yaml": b"a: 1", "etc/passwd": b"no"}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(data_dir=tmp_path / "rke2", run_dir=tmp_path / "run")
    paths.images.mkdir(parents=True)
    return paths


def put(
    paths: Paths, *layers: dict[str, bytes], name: str = "runtime.tar.zst", arch: str | None = None
) -> Path:
    members = image_members(REFERENCE, [layer(files) for files in layers], arch or oci_architecture())
    return write_archive(paths.images / name, members)


def test_data_key_is_the_tag_and_a_hash_of_the_reference() -> None:
    digest = hashlib.sha256(REFERENCE.encode()).hexdigest()
    assert data_key(REFERENCE) == f"v1.2.3-rke2py1-{digest[:12]}"
    assert data_key(f"x/y@sha256:{digest}") == digest
    with pytest.raises(ContentError, match="latest"):
        data_key("x/y:latest")


def test_unpacks_bin_and_charts_flat_and_points_bin_to_it(paths: Paths) -> None:
    put(paths, FILES)
    content = ensure_runtime(paths, REFERENCE)
    assert sorted(p.name for p in content.bin.iterdir()) == ["kubelet", "runc"]
    assert sorted(p.name for p in content.charts.iterdir()) == ["a.yaml"]
    assert paths.bin.resolve() == content.bin.resolve()
    assert (content.bin / "runc").stat().st_mode & 0o777 == 0o755
    assert (content.root / ".extracted").read_text() == REFERENCE


def tar_of(*members: tarfile.TarInfo) -> bytes:
    """A layer of empty files and links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member in members:
            tar.addfile(member)
    return out.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = tarfile.SYMTYPE, target
    return made


def test_programs_for_hosts_that_lack_them_keep_their_tree(paths: Paths) -> None:
    files = {"bin/aux/launcher": b"elf", "bin/aux/lib/libc.so.6": b"library", "bin/kubelet": b"elf"}
    links = tar_of(link("bin/aux/mount", "launcher"), link("bin/aux/programs/mkfs.ext4", "mke2fs"))
    members = image_members(REFERENCE, [layer(files), links], oci_architecture())
    write_archive(paths.images / "x.tar", members)
    aux = ensure_runtime(paths, REFERENCE).aux
    assert (aux / "lib/libc.so.6").read_bytes() == b"library"
    assert (aux / "mount").readlink() == Path("launcher")
    assert (aux / "programs/mkfs.ext4").readlink() == Path("mke2fs")


@pytest.mark.parametrize(
    "member",
    [
        link("bin/aux/x", "/etc/passwd"),
        link("bin/aux/x", "../../../../outside"),
        link("bin/aux/x", ".."),
        link("bin/x", "kubelet"),
        tarfile.TarInfo("bin/aux/../../../../outside"),
    ],
    ids=lambda member: f"{member.name}-{member.linkname}",
)
def test_nothing_is_written_outside(paths: Paths, member: tarfile.TarInfo) -> None:
    members = image_members(REFERENCE, [layer(FILES), tar_of(member)], oci_architecture())
    write_archive(paths.images / "x.tar", members)
    content = ensure_runtime(paths, REFERENCE)
    assert sorted(path.name for path in content.bin.iterdir()) == ["kubelet", "runc"]
    assert not list(paths.data_dir.rglob("outside"))


def test_a_later_layer_wins_even_if_it_comes_first_in_the_archive(paths: Paths) -> None:
    members = image_members(
        REFERENCE, [layer({"bin/a": b"old"}), layer({"bin/a": b"new"})], oci_architecture()
    )
    head = {"manifest.json": members.pop("manifest.json")}
    write_archive(paths.images / "x.tar", {**head, **dict(reversed(members.items()))})
    assert (ensure_runtime(paths, REFERENCE).bin / "a").read_bytes() == b"new"


def test_the_second_time_nothing_is_read(paths: Paths) -> None:
    archive = put(paths, FILES)
    first = ensure_runtime(paths, REFERENCE)
    archive.unlink()
    assert ensure_runtime(paths, REFERENCE) == first


@pytest.mark.parametrize("lost", ["bin", "charts", ".extracted"])
def test_what_a_killed_process_left_is_repaired(paths: Paths, lost: str) -> None:
    put(paths, FILES)
    content = ensure_runtime(paths, REFERENCE)
    path = content.root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (paths.data / ".extracting-v0").mkdir()
    ensure_runtime(paths, REFERENCE)
    assert path.exists()
    assert [p.name for p in paths.data.iterdir()] == [content.root.name]


def test_missing_everywhere_names_reference_and_directory(paths: Paths) -> None:
    with pytest.raises(ContentError, match="in none of the archives") as caught:
        ensure_runtime(paths, REFERENCE)
    assert REFERENCE in str(caught.value)
    assert str(paths.images) in str(caught.value)


def test_an_archive_without_the_image_does_not_hide_the_one_with_it(paths: Paths) -> None:
    write_archive(paths.images / "a-runtime.tar", image_members("docker.io/rke2py/other:v1", [layer({})]))
    (paths.images / "b-runtime.tar.gz").write_bytes(b"garbage")
    put(paths, FILES, name="z.tar.lz4")
    assert ensure_runtime(paths, REFERENCE).bin.is_dir()


def test_wrong_architecture_is_refused_and_leaves_nothing(paths: Paths) -> None:
    put(paths, FILES, arch="riscv64")
    with pytest.raises(ContentError, match="riscv64"):
        ensure_runtime(paths, REFERENCE)
    assert list(paths.data.iterdir()) == []


def test_a_flipped_byte_is_found_and_leaves_nothing(paths: Paths) -> None:
    archive = put(paths, {"bin/kubelet": b"A" * 1000}, name="runtime.tar")
    archive.write_bytes(archive.read_bytes().replace(b"A" * 1000, b"A" * 999 + b"B"))
    with pytest.raises(ContentError, match="digest"):
        ensure_runtime(paths, REFERENCE)
    assert list(paths.data.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    put(paths, FILES)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ContentError, match="no space left"):
        ensure_runtime(paths, REFERENCE)
    assert list(paths.data.iterdir()) == []


def test_given_up_it_leaves_nothing(paths: Paths) -> None:
    put(paths, FILES, {"bin/more": b"elf"})
    answers = iter([False, True])
    with pytest.raises(ContentError, match="interrupted"):
        ensure_runtime(paths, REFERENCE, given_up=lambda: next(answers))
    assert list(paths.data.iterdir()) == []
    assert (ensure_runtime(paths, REFERENCE).bin / "more").exists()


def test_an_image_without_bin_is_not_a_runtime_image(paths: Paths) -> None:
    put(paths, {"charts/a.yaml": b""})
    with pytest.raises(ContentError, match="not a runtime image"):
        ensure_runtime(paths, REFERENCE)


def test_old_versions_go_only_when_no_shim_was_started_from_them(paths: Paths) -> None:
    put(paths, FILES)
    used, unused, other = (paths.data / name for name in ("v1.0.0-used", "v1.0.0-unused", "custom"))
    for directory in (used, unused, other):
        (directory / "bin").mkdir(parents=True)
    task = paths.containerd_state / "io.containerd.runtime.v2.task" / "k8s.io" / "abc"
    task.mkdir(parents=True)
    (task / "shim-binary-path").write_text(f"{used}/bin/containerd-shim-runc-v2")
    ensure_runtime(paths, REFERENCE)
    assert used.is_dir()
    assert other.is_dir()
    assert not unused.exists()


@pytest.mark.parametrize("written", ["{link}", "{dd}/agent/..", "{dd}/", "{dd}/./"])
def test_a_shims_program_is_a_file_however_its_path_is_written(
    paths: Paths, tmp_path: Path, written: str
) -> None:
    """The data directory was reached through a link, or with dots and doubled slashes, when the pod was started."""
    put(paths, FILES)
    (link := tmp_path / "link").symlink_to(paths.data_dir)
    (used := paths.data / "v1.0.0-used/bin").mkdir(parents=True)
    (used / "containerd-shim-runc-v2").touch()
    task = paths.containerd_state / "io.containerd.runtime.v2.task" / "k8s.io" / "abc"
    task.mkdir(parents=True)
    data_dir = written.format(link=link, dd=paths.data_dir)
    (task / "shim-binary-path").write_text(f"{data_dir}/data/v1.0.0-used/bin/containerd-shim-runc-v2")
    paths.agent.mkdir(exist_ok=True)
    ensure_runtime(paths, REFERENCE)
    assert (used / "containerd-shim-runc-v2").exists()


def test_an_archive_may_have_the_official_name(paths: Paths) -> None:
    put(paths, FILES)
    other = "reg.example/team/rke2-runtime:v1.2.3-rke2py1"
    assert not has_runtime(paths, other)
    with pytest.raises(ContentError, match="in none of the archives"):
        ensure_runtime(paths, other)
    assert has_runtime(paths, other, REFERENCE)
    assert (ensure_runtime(paths, other, archived=REFERENCE).root / ".extracted").read_text() == other
    assert has_runtime(paths, other)
