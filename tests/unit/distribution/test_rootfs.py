from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from distribution.builder import rootfs
from distribution.builder.layers import Layer
from distribution.builder.rootfs import DebianPackage, Join, Rootfs


@pytest.mark.parametrize(
    ("shipped", "installed"),
    [
        ("./sbin/iptables", "/usr/sbin/iptables"),
        ("./lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./lib64/ld-linux-x86-64.so.2", "/usr/lib64/ld-linux-x86-64.so.2"),
        ("./usr/bin/nft", "/usr/bin/nft"),
        ("./etc/protocols", "/etc/protocols"),
        ("./library/x", "/library/x"),
    ],
)
def test_files_land_where_a_merged_usr_has_them(shipped: str, installed: str) -> None:
    assert rootfs.merged(shipped) == installed


def make_deb(directory: Path, name: str, files: dict[str, str]) -> Path:
    """A real package with the given files."""
    tree = directory / name
    for path, text in {"DEBIAN/control": CONTROL.format(name=name), **files}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / "usr").mkdir(exist_ok=True)
    (tree / "usr/link").symlink_to("/bin/target")
    deb = directory / f"{name}_1.0_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, deb], check=True, capture_output=True)
    return deb


CONTROL = """Package: {name}
Version: 1:1.0-2
Architecture: amd64
Maintainer: nobody <nobody@example.com>
Source: {name}-source
Description: for tests
"""

BASE = Rootfs(
    name="base",
    purpose="tests",
    packages=("one",),
    drop=("/usr/share/doc/*", "/usr/share/certs/*"),
    directories={"/run": 0o755},
    symlinks={"/usr/sbin/tool": "other"},
    join=(Join("/etc/all", "/usr/share/certs/*.crt"),),
)


def test_packages_become_one_reproducible_layer(tmp_path: Path) -> None:
    deb = make_deb(
        tmp_path,
        "one",
        {
            "lib/x/libone.so": "library",
            "usr/share/doc/one/copyright": "dropped",
            "usr/share/certs/b.crt": "B",
            "usr/share/certs/a.crt": "A",
        },
    )
    outs = [io.BytesIO(), io.BytesIO()]
    for out in outs:
        Layer(tuple(rootfs.entries(BASE, [deb]))).write_to(out)
    assert outs[0].getvalue() == outs[1].getvalue()
    outs[0].seek(0)
    with tarfile.open(fileobj=outs[0]) as tar:
        files = {m.name: f.read() for m in tar if m.isfile() and (f := tar.extractfile(m)) is not None}
        links = {member.name: member.linkname for member in tar if member.issym()}
    assert files == {"usr/lib/x/libone.so": b"library", "etc/all": b"AB"}
    assert links == {
        "usr/link": "/bin/target",
        "usr/sbin/tool": "other",
        **{name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")},
    }
    assert rootfs.describe(deb) == DebianPackage("one", "1:1.0-2", "amd64", "one-source")


def test_files_are_placed_elsewhere_and_what_has_no_place_is_left_out(tmp_path: Path) -> None:
    deb = make_deb(tmp_path, "one", {"lib/x/libone.so.1.2": "library", "usr/sbin/tool": "x", "etc/conf": "x"})
    (tmp_path / "one/lib/x/libone.so.1").symlink_to("libone.so.1.2")
    (tmp_path / "one/lib/x/libgone.so.1").symlink_to("libgone.so.1.2")
    subprocess.run(["dpkg-deb", "-b", tmp_path / "one", deb], check=True, capture_output=True)
    elsewhere = Rootfs(
        name="elsewhere",
        purpose="tests",
        packages=("one",),
        place={"/usr/lib/x/lib*": "/aux/lib", "/usr/sbin/*": "/aux/programs"},
        symlinks={"/aux/tool": "launcher"},
    )
    found = {entry.path: entry.target for entry in rootfs.entries(elsewhere, [deb])}
    assert found == {
        "/aux/lib/libone.so.1.2": "",
        "/aux/lib/libone.so.1": "libone.so.1.2",
        "/aux/programs/tool": "",
        "/aux/tool": "launcher",
    }


def test_a_program_of_many_names_gets_them(tmp_path: Path) -> None:
    deb = make_deb(tmp_path, "one", {"bin/box": "x"})
    many = Rootfs(name="many", purpose="tests", packages=("one",), applets={"/usr/bin/box": ("ls", "cat")})
    links = {entry.path: entry.target for entry in rootfs.entries(many, [deb]) if entry.target == "box"}
    assert links == {"/usr/bin/ls": "box", "/usr/bin/cat": "box"}


def test_of_some_packages_only_a_few_files_are_taken(tmp_path: Path) -> None:
    debs = [
        make_deb(tmp_path, name, {f"bin/{name}": "x", f"bin/{name}-more": "x"}) for name in ("one", "two")
    ]
    some = Rootfs(name="some", purpose="tests", packages=("one", "two"), only={"one": ("/usr/bin/one",)})
    files = {entry.path for entry in rootfs.entries(some, debs) if entry.path.startswith("/usr/bin/")}
    assert files == {"/usr/bin/one", "/usr/bin/two", "/usr/bin/two-more"}
