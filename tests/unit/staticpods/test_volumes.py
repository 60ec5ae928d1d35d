import socket
from pathlib import Path

import pytest

from rke2.config.model import ComponentSettings
from rke2.errors import ComponentError
from rke2.staticpods.pod import StaticPod
from rke2.staticpods.volumes import Volume, file_hash, mounted_files, parse_extra_mount, volumes


def pod(**fields: object) -> StaticPod:
    values: dict[str, object] = {
        "name": "p",
        "image": "i",
        "args": (),
        "settings": ComponentSettings(),
        "ports": {},
        **fields,
    }
    return StaticPod(**values)  # type: ignore[arg-type]


def touch(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_files_are_those_listed_then_those_in_arguments_sorted(tmp_path: Path) -> None:
    listed, b, a = (touch(tmp_path / name) for name in ("z-listed", "b", "a"))
    args = (f"--x={b}", f"--y={a}", f"--again={b}", f"--dir={tmp_path}", f"--gone={tmp_path}/no", "--n=1")
    assert mounted_files(pod(args=args, files=(listed,))) == (listed, a, b)


def test_a_listed_file_named_in_an_argument_is_mounted_once(tmp_path: Path) -> None:
    file = touch(tmp_path / "f")
    assert mounted_files(pod(args=(f"--x={file}",), files=(file,))) == (file,)


def test_excluded_files_are_not_mounted(tmp_path: Path) -> None:
    file = touch(tmp_path / "audit.log")
    assert mounted_files(pod(args=(f"--audit-log-path={file}",), excluded_files=frozenset({file}))) == ()


KUBECONFIG = """
clusters: [{{name: local, cluster: {{server: "https://x", certificate-authority: {root}/ca.crt}}}}]
users: [{{name: user, user: {{client-certificate: {root}/c.crt, client-key: {root}/c.key}}}}]
"""


def test_kubeconfig_brings_the_files_it_refers_to(tmp_path: Path) -> None:
    kubeconfig = touch(tmp_path / "kc", KUBECONFIG.format(root=tmp_path))
    expected = tuple(tmp_path / name for name in ("c.crt", "c.key", "ca.crt", "kc"))
    assert mounted_files(pod(args=(f"--kubeconfig={kubeconfig}",))) == expected
    assert mounted_files(pod(args=(f"--authentication-kubeconfig={kubeconfig}",))) == (kubeconfig,)


@pytest.mark.parametrize("content", ["[", "clusters: 3", "[]", "clusters: [{name: x}]"])
def test_broken_kubeconfig_is_named(tmp_path: Path, content: str) -> None:
    kubeconfig = touch(tmp_path / "kc", content)
    if content == "[]":
        assert mounted_files(pod(args=(f"--kubeconfig={kubeconfig}",))) == (kubeconfig,)
        return
    with pytest.raises(ComponentError, match=str(kubeconfig)):
        mounted_files(pod(args=(f"--kubeconfig={kubeconfig}",)))


def test_hash_follows_content_and_order(tmp_path: Path) -> None:
    a, b = touch(tmp_path / "a", "1"), touch(tmp_path / "b", "2")
    before = file_hash([a, b])
    assert file_hash([b, a]) != before
    b.write_text("3")
    assert file_hash([a, b]) != before


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="name"):
        file_hash([tmp_path / "name"])


def test_order_and_kinds_of_volumes(tmp_path: Path) -> None:
    there, sock, file = tmp_path / "there", tmp_path / "s", touch(tmp_path / "f")
    there.mkdir()
    made = volumes(
        pod(sockets=(sock,), optional_dirs=(tmp_path / "absent", there), dirs=(tmp_path / "new", there)),
        [file],
    )
    assert made == (
        Volume("socket0", sock, sock, "Socket"),
        Volume("dir0", there, there, "DirectoryOrCreate"),
        Volume("dir1", tmp_path / "new", tmp_path / "new", "DirectoryOrCreate"),
        Volume("file0", file, file, "File", read_only=True),
    )


def test_extra_mount_types_are_detected(tmp_path: Path) -> None:
    touch(tmp_path / "f")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    found = {name: parse_extra_mount("m", f"{tmp_path / name}:/t").type for name in ("f", "s", ".", "none")}
    assert found == {"f": "File", "s": "Socket", ".": "Directory", "none": "DirectoryOrCreate"}


@pytest.mark.parametrize(
    ("text", "type_", "read_only"),
    [
        ("/none:/t", "DirectoryOrCreate", False),
        ("/none:/t:ro", "DirectoryOrCreate", True),
        ("/none:/t:RW", "DirectoryOrCreate", False),
        ("/none:/t:ro:CharDevice", "CharDevice", False),
    ],
)
def test_extra_mount_grammar(text: str, type_: str, read_only: bool) -> None:
    assert parse_extra_mount("m", text) == Volume("m", Path("/none"), Path("/t"), type_, read_only)


@pytest.mark.parametrize("text", ["/only", "/a:/b:rx", "/a:/b:ro:File:more", ""])
def test_bad_extra_mounts_are_skipped_with_an_error(text: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = ComponentSettings(extra_mounts=(text, "/none:/good"))
    assert [volume.name for volume in volumes(pod(settings=settings), [])] == ["extra-mount-1"]
    assert repr(text) in caplog.text


def test_extra_mount_over_another_mount_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = ComponentSettings(extra_mounts=(f"/none:{tmp_path}",))
    made = volumes(pod(settings=settings, dirs=(tmp_path,)), [])
    assert [volume.name for volume in made] == ["dir0"]
    assert "mounted already" in caplog.text
