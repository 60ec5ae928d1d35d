from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.errors import ConfigError, PKIError
from rke2.join.credentials import ServerCredentials, check_server_token, ensure_server_credentials
from rke2.pki.server import ensure_server_pki
from tests.configs import paths_under, server_config
from tests.snapshots import snapshot

FOREIGN = "0" * 64


def config_of(root: Path, **server: Any) -> NodeConfig:
    return server_config(paths_under(root), server=server)


def start(root: Path, **server: Any) -> ServerCredentials:
    config = config_of(root, **server)
    check_server_token(config)
    ensure_server_pki(config)
    return ensure_server_credentials(config)


def with_data(root: Path) -> None:
    (paths_under(root).etcd / "member/wal").mkdir(parents=True)


def test_the_first_password_is_random_and_stays(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert len(bytes.fromhex(first.passwd.server)) == 16
    assert first.passwd.node == first.passwd.server
    before = snapshot(tmp_path)
    assert start(tmp_path) == first
    assert snapshot(tmp_path) == before
    assert start(tmp_path, token=str(first.token)) == first


def test_tokens_give_their_password(tmp_path: Path) -> None:
    credentials = start(tmp_path, token="K10::server:one", agent_token="K10::node:two")
    assert (credentials.passwd.server, credentials.passwd.node) == ("one", "two")
    assert str(credentials.token).endswith("::server:one")
    assert str(credentials.agent_token).endswith("::node:two")


def test_the_agent_token_file_follows_the_setting(tmp_path: Path) -> None:
    server = paths_under(tmp_path).server
    start(tmp_path, token="one")
    assert (server / "agent-token").readlink() == server / "token"
    start(tmp_path, token="one", agent_token="two")
    assert (server / "agent-token").read_text().endswith("::node:two\n")
    assert (server / "token").read_text().endswith("::server:one\n")
    start(tmp_path, token="one")
    assert (server / "agent-token").readlink() == server / "token"
    assert (server / "node-token").readlink() == server / "token"


def test_a_lost_passwd_file_is_made_from_the_token_file(tmp_path: Path) -> None:
    first = start(tmp_path)
    (paths_under(tmp_path).cred / "passwd").unlink()
    assert start(tmp_path) == first


def test_a_server_without_etcd_has_no_member_name(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(disabled=True)})
    ensure_server_pki(config)
    ensure_server_credentials(config)
    assert not config.paths.etcd.exists()


def test_without_data_any_token_will_do(tmp_path: Path) -> None:
    start(tmp_path, token="one")
    assert start(tmp_path, token="two").passwd.server == "two"


def refused(root: Path, error: type[Exception], match: str, **server: Any) -> None:
    before = snapshot(root)
    with pytest.raises(error, match=match):
        start(root, **server)
    assert snapshot(root) == before


def test_data_is_tied_to_its_token(tmp_path: Path) -> None:
    start(tmp_path, token="one")
    with_data(tmp_path)
    refused(tmp_path, ConfigError, "token is not the one", token="two")
    assert start(tmp_path, token="one").passwd.server == "one"


@pytest.mark.parametrize("flag", ["token", "agent_token"])
def test_a_token_of_another_cluster_is_refused(tmp_path: Path, flag: str) -> None:
    start(tmp_path)
    name = flag.replace("_", "-")
    refused(tmp_path, ConfigError, f"{name} is of another cluster", **{flag: f"K10{FOREIGN}::server:other"})


def test_a_token_file_of_another_cluster_is_refused(tmp_path: Path) -> None:
    start(tmp_path)
    token = paths_under(tmp_path).token
    token.write_text(f"K10{FOREIGN}::server:other\n")
    refused(tmp_path, PKIError, f"{token} is of another cluster")


def test_rotated_cas_change_the_hash_and_not_the_password(tmp_path: Path) -> None:
    first = start(tmp_path)
    for path in paths_under(tmp_path).tls.glob("server-ca.*"):
        path.unlink()
    second = start(tmp_path, token=str(first.token))
    assert second.passwd == first.passwd
    assert second.token.ca_hash != first.token.ca_hash
    assert paths_under(tmp_path).token.read_text() == f"{second.token}\n"


@pytest.mark.parametrize("token", ["K10zz::server:x", "abcdef.0123456789abcdef"])
def test_malformed_tokens_name_their_flag(tmp_path: Path, token: str) -> None:
    refused(tmp_path, ConfigError, "^token: ", token=token)


def test_a_malformed_token_file_is_named(tmp_path: Path) -> None:
    token = paths_under(tmp_path).token
    token.parent.mkdir(parents=True)
    token.write_text("K10zz::server:x")
    refused(tmp_path, PKIError, str(token))
