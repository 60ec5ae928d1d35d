"""``PUT /v1-rke2/token`` over the wire, and ``rke2 token rotate`` against it; two servers share what is in etcd."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rke2.cli import main
from rke2.config.model import NodeConfig
from rke2.errors import EtcdError
from rke2.join import bootstrap_encryption
from rke2.join.bootstrap import AGENT_SALT, BootstrapData
from rke2.join.credentials import ensure_server_credentials, further_agent_passwords
from rke2.join.passwd import Passwd
from rke2.join.shared import SharedKeys
from rke2.kube.resources import NODES
from tests.contract.supervisor.harness import NODE, SERVER, TOKEN, Supervisor, node, supervisor, until_known
from tests.unit.join.test_store import Memory, store_in

PATH = "/v1-rke2/token"
NEW = "a new token for servers"


@pytest.fixture
def etcd() -> Memory:
    return Memory()


@pytest.fixture
def running(tmp_path: Path, etcd: Memory) -> Iterator[Supervisor]:
    """A server without ``agent-token``, whose agents have a password that the server has made."""
    with serving(tmp_path, etcd, agent_token="") as made:
        yield made


def serving(root: Path, etcd: Memory, **settings: Any) -> Any:
    def shared(config: NodeConfig) -> SharedKeys:
        data = BootstrapData.read(config.paths.server, complain=False)
        etcd.set(bootstrap_encryption.storage_key(TOKEN), bootstrap_encryption.encrypt(data.to_json(), TOKEN))
        return SharedKeys(config.paths, etcd)

    return supervisor(root, shared=shared, **settings)


def put(running: Supervisor, token: str, user: str = SERVER) -> Any:
    return running.ask("PUT", PATH, user, body=json.dumps({"newToken": token}).encode())


def let_in(running: Supervisor, user: str) -> bool:
    """Whether `user`, ``name:password``, authenticates at all."""
    return running.ask("GET", "/v1-rke2/config", user).status != 401


def files(running: Supervisor) -> tuple[str, Passwd | None]:
    paths = running.config.paths
    return paths.token.read_text().strip().rpartition(":")[2], Passwd.read(paths.cred / "passwd")


def test_the_former_token_lets_nobody_in_any_more(running: Supervisor, etcd: Memory) -> None:
    (agent,) = further_agent_passwords(running.config)
    assert all(let_in(running, user) for user in (SERVER, f"node:{TOKEN}", f"node:{agent}"))
    before = etcd.keys[bootstrap_encryption.storage_key(TOKEN)][0]

    assert put(running, NEW).status == 200

    (rotated,) = further_agent_passwords(running.config)
    assert rotated != agent
    assert not any(let_in(running, user) for user in (SERVER, f"node:{TOKEN}", f"node:{agent}"))
    assert all(let_in(running, user) for user in (f"server:{NEW}", f"node:{NEW}", f"node:{rotated}"))
    assert files(running) == (NEW, Passwd(NEW, NEW))
    assert (running.config.paths.server / "agent-token").read_text().strip().rpartition(":")[2] == rotated
    assert list(etcd.keys) == [bootstrap_encryption.storage_key(NEW)]
    data = running.run(store_in(etcd, NEW).load())
    assert data
    assert Passwd.parse(data.entries["PasswdFile"].content, Path("passwd")) == Passwd(NEW, NEW)
    former = BootstrapData.from_json(bootstrap_encryption.decrypt(before, TOKEN))
    assert former.entries["ServerCAKey"] == data.entries["ServerCAKey"]
    assert not (running.config.paths.cred / "next-token").exists()


def test_an_agent_token_of_its_own_stays(tmp_path: Path, etcd: Memory) -> None:
    with serving(tmp_path, etcd) as running:
        assert put(running, NEW).status == 200
        assert let_in(running, NODE)
        assert files(running)[1] == Passwd(NEW, "for agents")


def test_without_a_wish_it_is_random(running: Supervisor) -> None:
    assert put(running, "").status == 200
    password, _ = files(running)
    assert len(password) == 32
    assert int(password, 16)


def test_the_whole_token_is_taken_as_well_and_another_clusters_is_not(running: Supervisor) -> None:
    cluster_hash = hashlib.sha256(running.pem("server-ca.crt")).hexdigest()
    assert put(running, f"K10{'0' * 64}::server:{NEW}").status == 500
    assert put(running, "abcdef.0123456789abcdef").status == 500
    assert files(running)[0] == TOKEN
    assert put(running, f"K10{cluster_hash}::server:{NEW}").status == 200
    assert running.config.paths.token.read_text() == f"K10{cluster_hash}::server:{NEW}\n"


def test_only_servers_may(running: Supervisor) -> None:
    assert put(running, NEW, f"node:{TOKEN}").status == 403
    assert running.ask("POST", PATH, SERVER, body=b"{}").status == 405
    assert running.ask("PUT", PATH, SERVER, body=b"{").status == 400


def test_other_servers_take_it_over_and_who_does_not_is_named(
    tmp_path: Path, etcd: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(serving(tmp_path / name, etcd, agent_token="")) for name in ("1", "2")
        )
        _share(one, two, etcd)
        monkeypatch.setattr("rke2.supervisor.token_rotation.SUPERVISOR_PORT", two.port)
        _tell(one, "node2", "127.0.0.1")
        _tell(one, "node3", "192.0.2.200")
        monkeypatch.setattr("rke2.supervisor.token_rotation.connect", _only_loopback())
        answer = put(one, NEW)
        assert answer.status == 200
        assert "restart them with it: node3" in answer.headers["warning"]
        assert files(two)[0] == NEW
        assert let_in(two, f"server:{NEW}")
        assert not let_in(two, SERVER)
        assert further_agent_passwords(two.config) == further_agent_passwords(one.config)


def _only_loopback() -> Any:
    from rke2.errors import JoinError
    from rke2.join.client import connect

    async def made(url: str, *rest: Any) -> Any:
        if "192.0.2." in url:
            raise JoinError(f"{url}: no route to host")
        return await connect(url, *rest)

    return made


def _share(one: Supervisor, two: Supervisor, etcd: Memory) -> None:
    """Give the second server the keys of the first."""
    data = BootstrapData.read(one.config.paths.server, complain=False)
    data.write(two.config.paths.server)
    two.server.slots.read_authorities(two.config.paths.tls)
    ensure_server_credentials(two.config)
    etcd.set(bootstrap_encryption.storage_key(TOKEN), bootstrap_encryption.encrypt(data.to_json(), TOKEN))


def _tell(running: Supervisor, name: str, address: str) -> None:
    if running.server.core.current is None:
        running.become_ready()

    async def put_node() -> None:
        labels = {"node-role.kubernetes.io/control-plane": "true"}
        running.kube.put(NODES, node(name, address=address, **labels))

    running.run(put_node())
    running.run(until_known(running, name))


class Failing(Memory):
    """etcd that refuses the write of a number."""

    refused = 0

    async def replace(self, key: str, value: bytes, mod_revision: int) -> bool:
        self._refuse()
        return await super().replace(key, value, mod_revision)

    async def delete_unchanged(self, key: str, mod_revision: int) -> bool:
        self._refuse()
        return await super().delete_unchanged(key, mod_revision)

    def _refuse(self) -> None:
        self.refused -= 1
        if self.refused == 0:
            raise EtcdError("no leader", code="UNAVAILABLE")


@pytest.mark.parametrize("refused", [1, 2])
def test_a_rotation_that_was_cut_off_is_finished_by_the_same_command(tmp_path: Path, refused: int) -> None:
    """And until then the server starts with the token on its disk."""
    etcd = Failing()
    with serving(tmp_path, etcd, agent_token="") as running:
        etcd.refused = refused
        assert put(running, "").status == 500
        password, _ = files(running)
        assert running.run(store_in(etcd, password).load())
        pending = (running.config.paths.cred / "next-token").read_text().splitlines()[0].rpartition(":")[2]
        assert put(running, "another", f"server:{password}").status == 500
        assert put(running, "", f"server:{password}").status == 200
        assert files(running)[0] == pending
        assert list(etcd.keys) == [bootstrap_encryption.storage_key(pending)]


def test_keys_that_another_server_changes_meanwhile_are_not_lost(running: Supervisor, etcd: Memory) -> None:
    changed: list[str] = []
    drop = etcd.delete_unchanged

    async def late(key: str, mod_revision: int) -> bool:
        if not changed:
            changed.append(key)
            found = BootstrapData.from_json(bootstrap_encryption.decrypt(etcd.keys[key][0], TOKEN))
            entries = {**found.entries, "EncryptionHash": found.entries["EncryptionConfig"]}
            etcd.set(key, bootstrap_encryption.encrypt(BootstrapData(entries).to_json(), TOKEN))
        return await drop(key, mod_revision)

    etcd.delete_unchanged = late  # type: ignore[method-assign]
    assert put(running, NEW).status == 200
    assert list(etcd.keys) == [bootstrap_encryption.storage_key(NEW)]
    data = running.run(store_in(etcd, NEW).load())
    assert data
    assert data.entries["EncryptionHash"] == data.entries["EncryptionConfig"]


def test_keys_that_change_while_a_rotation_is_cut_off_are_not_lost(tmp_path: Path) -> None:
    """This server has the new token, another one missed the offer and rotates the keys of Secrets with the former."""
    etcd = Failing()
    with serving(tmp_path, etcd, agent_token="") as running:
        etcd.refused = 2
        assert put(running, "").status == 500
        password, _ = files(running)
        salt = running.run(store_in(etcd, password).load()).entries[AGENT_SALT].content
        key = bootstrap_encryption.storage_key(TOKEN)
        found = BootstrapData.from_json(bootstrap_encryption.decrypt(etcd.keys[key][0], TOKEN))
        entries = {**found.entries, "EncryptionHash": found.entries["EncryptionConfig"]}
        etcd.set(key, bootstrap_encryption.encrypt(BootstrapData(entries).to_json(), TOKEN))
        assert put(running, "", f"server:{password}").status == 200
        data = running.run(store_in(etcd, password).load())
        assert data.entries["EncryptionHash"] == data.entries["EncryptionConfig"]
        assert data.entries[AGENT_SALT].content == salt
        assert list(etcd.keys) == [bootstrap_encryption.storage_key(password)]


def test_the_command(running: Supervisor, capsys: pytest.CaptureFixture[str]) -> None:
    where = [
        "--server",
        f"https://127.0.0.1:{running.port}",
        "--data-dir",
        str(running.config.paths.data_dir),
    ]
    assert main(["token", "rotate", "--new-token", NEW, *where]) == 0
    out, err = capsys.readouterr()
    assert out == "Token rotated, restart rke2 nodes with new token\n"
    assert err.startswith(
        "\x1b[33mWARNING\x1b[0m: Recommended to keep a record of the old token. If restoring from a snapshot, "
        "you must use the token associated with that snapshot.\n"
    )
    assert files(running)[0] == NEW
    assert main(["token", "rotate", *where]) == 0
    assert files(running)[0] != NEW
