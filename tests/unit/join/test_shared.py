from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.errors import JoinError
from rke2.join.bootstrap import BootstrapData, BootstrapEntry
from rke2.join.shared import SharedKeys
from tests.configs import paths_under
from tests.unit.join.test_store import Memory, holding

FORMER, STATE = b"former keys", b"start-1"
DATA = BootstrapData(
    {
        "EncryptionConfig": BootstrapEntry(FORMER, 1),
        "EncryptionHash": BootstrapEntry(STATE, 1),
        "ServerCA": BootstrapEntry(b"pem", 1),
    }
)
NEW = {"EncryptionConfig": b"new keys", "EncryptionHash": b"prepare-2"}


def server(root: Path) -> Paths:
    paths = paths_under(root)
    DATA.write(paths.server)
    paths.token.write_text("secret\n")
    return paths


def on_disk(paths: Paths) -> tuple[bytes, bytes]:
    return (paths.cred / "encryption-config.json").read_bytes(), (
        paths.cred / "encryption-state.json"
    ).read_bytes()


async def test_what_one_server_changes_another_one_takes_over(tmp_path: Path) -> None:
    etcd, told = holding(DATA), list[str]()
    one, two = server(tmp_path / "1"), server(tmp_path / "2")
    follower = SharedKeys(two, etcd)

    async def listener() -> None:
        told.append("changed")

    changing = SharedKeys(one, etcd)
    changing.listen(listener)
    assert not await follower.take_over()
    await changing.change(NEW, instead_of={"EncryptionConfig": FORMER})
    assert (on_disk(one), told) == ((b"new keys", b"prepare-2"), ["changed"])
    assert on_disk(two) == (FORMER, STATE)
    assert await follower.take_over()
    assert on_disk(two) == on_disk(one)
    assert not await follower.take_over()
    assert (one.tls / "server-ca.crt").read_bytes() == b"pem"


async def test_a_look_at_what_has_not_changed_reads_no_keys(tmp_path: Path) -> None:
    etcd = holding(DATA)
    follower = SharedKeys(server(tmp_path), etcd)
    await follower.take_over()
    read = etcd.sent
    assert read and not await follower.take_over()
    assert etcd.sent == read


async def test_who_decided_on_former_keys_changes_nothing(tmp_path: Path) -> None:
    etcd, paths = holding(DATA), server(tmp_path)
    await SharedKeys(server(tmp_path / "2"), etcd).change(NEW, instead_of={"EncryptionConfig": FORMER})
    with pytest.raises(JoinError, match="another server has changed the keys meanwhile"):
        await SharedKeys(paths, etcd).change(NEW, instead_of={"EncryptionConfig": FORMER})
    assert on_disk(paths) == (FORMER, STATE)


async def test_etcd_has_new_keys_before_the_disk_has(tmp_path: Path) -> None:
    """Who is killed in between takes them from etcd; a disk that is newer than etcd would keep it from starting."""
    etcd, paths = holding(DATA), server(tmp_path)
    cred = paths.cred
    cred.rename(cred.with_name("aside"))
    cred.touch()
    with pytest.raises(OSError, match="cred"):
        await SharedKeys(paths, etcd).change(NEW, instead_of={"EncryptionConfig": FORMER})
    cred.unlink()
    cred.with_name("aside").rename(cred)
    assert on_disk(paths) == (FORMER, STATE)
    assert await SharedKeys(paths, etcd).take_over()
    assert on_disk(paths) == (b"new keys", b"prepare-2")


async def test_a_file_has_the_time_that_etcd_says(tmp_path: Path) -> None:
    etcd, paths = holding(DATA), server(tmp_path)
    await SharedKeys(paths, etcd).change(NEW, instead_of={})
    stored = await _stored(etcd)
    for key, name in (
        ("EncryptionConfig", "encryption-config.json"),
        ("EncryptionHash", "encryption-state.json"),
    ):
        assert (paths.cred / name).stat().st_mtime_ns == stored.entries[key].modified_ns


async def test_a_file_that_was_changed_by_hand_is_left_for_the_next_start(tmp_path: Path) -> None:
    etcd, paths = holding(DATA), server(tmp_path)
    keys = SharedKeys(paths, etcd)
    await keys.take_over()
    (paths.cred / "encryption-config.json").write_bytes(b"by hand")
    assert not await keys.take_over()
    assert on_disk(paths)[0] == b"by hand"


async def _stored(etcd: Memory) -> BootstrapData:
    from tests.unit.join.test_store import store_in

    stored = await store_in(etcd).load()
    assert stored
    return stored
