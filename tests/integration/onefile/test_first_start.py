"""The first start unpacks the program, once and whole, or says why it cannot."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from distribution.builder.release import debian_release
from rke2.version import VERSION
from tests.integration.onefile.conftest import DATA, ENVIRONMENT, FILE, RKE2, Root

pytestmark = [pytest.mark.root, pytest.mark.content]

_TMPFS = "mkdir -p var/lib/rancher; mount -t tmpfs -o mode=755,{} tmpfs var/lib/rancher"


def test_it_is_no_larger_than_promised() -> None:
    """What Debian 13's OpenSSL and C++ library have more than Debian 12's is more than a megabyte."""
    if not FILE.exists():
        pytest.fail("the one file is not built: `make dist`")
    limit = {"12": 20_000_000}.get(debian_release(), 21_500_000)
    assert FILE.stat().st_size <= limit


def test_it_runs_without_python_and_without_the_c_library_of_debian(any_root: Root) -> None:
    first = any_root.rke2("--version")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith(f"rke2 version {VERSION} (")
    (name,) = any_root.unpacked()
    before = any_root.below(f"{DATA}/{name}").stat()
    assert "server" in any_root.rke2("--help").stdout
    assert any_root.below(f"{DATA}/{name}").stat().st_ino == before.st_ino, "nothing was unpacked again"
    refused = any_root.rke2("no-such-verb")
    assert refused.returncode == 1
    assert "is not a command of rke2" in refused.stderr


def test_every_module_is_there_and_none_is_of_the_machine(any_root: Root) -> None:
    any_root.rke2("--version")
    (name,) = any_root.unpacked()
    place = f"{DATA}/{name}"
    any_root.below("/every.py").write_text(_EVERY_MODULE)
    done = any_root.run(f"{place}/bin/rke2", "-IS", "/every.py")
    assert done.returncode == 0, done.stderr
    executable, count, *elsewhere = done.stdout.splitlines()
    assert executable == f"{place}/bin/rke2"
    assert int(count) > 300
    assert elsewhere == []


_EVERY_MODULE = """
import importlib, pathlib, pkgutil, sys
import rke2, lz4.frame, zstandard, asyncio, ssl, encodings.idna, concurrent.futures.process, concurrent.futures.thread
names = [found.name for found in pkgutil.walk_packages(rke2.__path__, "rke2.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(sys.executable)
print(len(names))
mapped = {line.split()[-1] for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if "/" in line}
for path in mapped:
    if not path.startswith((sys.prefix, "/usr/lib/locale/", "/dev/")) and ".so" in path:
        print(path)
"""


def test_work_is_shared_among_processes(root: Root) -> None:
    """As `rke2 images verify` does it."""
    root.rke2("--version")
    (name,) = root.unpacked()
    root.below("/pool.py").write_text(_POOL)
    done = root.run(f"{DATA}/{name}/bin/rke2", "-IS", "/pool.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")


_POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        print(sum(pool.map(abs, [-1, -2, -3])))
"""


def test_many_first_starts_at_once_unpack_once(root: Root) -> None:
    starts = [root.start([RKE2, "--version"]) for _ in range(6)]
    ends = [(start.communicate(timeout=120), start.returncode) for start in starts]
    assert [(err, code) for (_, err), code in ends] == [("", 0)] * 6
    assert len(root.unpacked()) == 1


@pytest.mark.parametrize("files", [1, 100, 400])
def test_a_start_that_is_killed_leaves_nothing_that_matters(root: Root, files: int) -> None:
    start = root.start([RKE2, "--version"])
    while not _unfinished(root, files) and not start.poll():
        time.sleep(0.001)
    # The shell of the new process namespace is its first process: with it everything in there ends.
    start.send_signal(signal.SIGKILL)
    start.communicate(timeout=60)
    assert root.rke2("--version").returncode == 0
    (name,) = root.unpacked()
    assert name.startswith("program-")


def _unfinished(root: Root, files: int) -> bool:
    place = root.below(DATA)
    scratch = list(place.glob(".program-*/")) if place.is_dir() else []
    return any(sum(1 for _ in path.rglob("*")) >= files for path in scratch) or bool(
        list(place.glob("program-*"))
    )


def test_a_full_disk_is_told_and_leaves_nothing(root: Root) -> None:
    mounts = [_TMPFS.format("size=20m")]
    done = root.run("sh", "-c", f"{RKE2} --version; echo $?; ls -A {DATA}", mounts=mounts)
    assert done.stdout.split() == ["1", ".program.lock"]
    assert f"cannot unpack rke2 to {DATA}: no space left on device" in done.stderr
    assert " MiB are needed, " in done.stderr
    assert "hint: free space there, or choose another data directory" in done.stderr


def test_a_mount_without_exec_is_told(root: Root) -> None:
    done = root.rke2("--version", mounts=[_TMPFS.format("noexec")])
    assert done.returncode == 1
    assert f"{DATA}: it is on a file system that is mounted with `noexec`" in done.stderr
    assert "hint: mount it with `exec`, or choose another data directory" in done.stderr


def test_a_mount_that_lost_exec_is_told(root: Root) -> None:
    root.rke2("--version")
    remount = "mount --bind var/lib var/lib; mount -o remount,bind,noexec var/lib"
    done = root.rke2("--version", mounts=[remount])
    assert done.returncode == 1
    assert "mounted with `noexec`" in done.stderr


def test_a_directory_that_cannot_be_written_is_told(root: Root) -> None:
    done = root.rke2("--version", mounts=["mount --bind var/lib var/lib; mount -o remount,bind,ro var/lib"])
    assert done.returncode == 1
    assert f"cannot unpack rke2 to {DATA}: read-only file system" in done.stderr
    assert "hint: make it writable, or choose another data directory" in done.stderr


def test_what_is_unpacked_runs_from_a_directory_that_cannot_be_written(root: Root) -> None:
    root.rke2("--version")
    done = root.rke2("--version", mounts=["mount --bind var/lib var/lib; mount -o remount,bind,ro var/lib"])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("cut", [1, 5_000_000])
def test_a_file_that_was_not_downloaded_whole_is_told(root: Root, cut: int) -> None:
    root.below(RKE2).write_bytes(FILE.read_bytes()[:-cut])
    done = root.rke2("--version")
    assert done.returncode == 1
    assert "this file is damaged" in done.stderr
    assert root.unpacked() == []


def test_a_file_with_other_bytes_is_told(root: Root) -> None:
    content = bytearray(FILE.read_bytes())
    content[len(content) // 2] ^= 1
    root.below(RKE2).write_bytes(content)
    done = root.rke2("--version")
    assert done.returncode == 1
    assert "this file is damaged" in done.stderr
    assert root.unpacked() == []


def test_others_may_use_what_root_unpacked_under_any_umask(root: Root) -> None:
    assert root.rke2("--version", umask=0o077).returncode == 0
    home = ENVIRONMENT | {"HOME": "/tmp/somebody"}
    assert root.rke2("--version", user=1000, env=home).returncode == 0
    assert not root.below("/tmp/somebody").exists()


def test_an_ordinary_user_has_it_in_the_cache(root: Root) -> None:
    root.below("/tmp/somebody").mkdir()
    os.chown(root.below("/tmp/somebody"), 1000, 1000)
    home = ENVIRONMENT | {"HOME": "/tmp/somebody"}
    done = root.rke2("--version", user=1000, env=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(root.unpacked("/tmp/somebody/.cache/rke2")) == 1
    assert root.unpacked() == []


def test_an_ordinary_user_without_a_place_is_told(root: Root) -> None:
    done = root.rke2("--version", user=1000, env={"PATH": "/bin"})
    assert done.returncode == 1
    assert "neither HOME nor XDG_CACHE_HOME is set" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "config"),
    [
        (("--data-dir", "/big/rke2"), {}, ""),
        (("--data-dir=/big/rke2",), {}, "data-dir: /not/this\n"),
        (("-d", "/big/rke2"), {"RKE2_DATA_DIR": "/not/this"}, ""),
        ((), {"RKE2_DATA_DIR": "/big/rke2"}, "data-dir: /not/this\n"),
        ((), {}, 'token: x\n"data-dir":  "/big/rke2" # on the large disk\n'),
    ],
)
def test_it_is_below_the_data_directory(
    root: Root, arguments: tuple[str, ...], env: dict[str, str], config: str
) -> None:
    file = root.below("/etc/rancher/rke2/config.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(config)
    root.rke2("status", *arguments, env=ENVIRONMENT | env)
    assert len(root.unpacked("/big/rke2/data")) == 1
    assert root.unpacked() == []
    assert not root.below("/not").exists()


def test_libraries_that_the_environment_names_are_not_loaded(root: Root, tmp_path: Path) -> None:
    for name in ("libc.so.6", "libz.so.1", "libssl.so.3"):
        root.below(f"/odd/{name}").parent.mkdir(exist_ok=True)
        root.below(f"/odd/{name}").write_text("no library")
    odd = {"LD_LIBRARY_PATH": "/odd", "PYTHONPATH": "/odd", "PYTHONHOME": "/odd", "PYTHONSTARTUP": "/odd/x"}
    done = root.rke2("--version", env=ENVIRONMENT | odd)
    assert (done.returncode, done.stderr) == (0, "")
