from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import ComponentSettings, NodeConfig
from rke2.errors import ConfigError, JoinError, PKIError
from rke2.join.bootstrap import BootstrapData
from rke2.join.credentials import (
    ServerCredentials,
    check_server_token,
    ensure_server_credentials,
    further_agent_passwords,
)
from rke2.join.passwd import Passwd
from rke2.join.reconcile import TOLERANCE_NS, reconcile
from rke2.pki.server_pki import ensure_server_pki
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
    made = start(tmp_path, token="one").agent_token
    assert (server / "agent-token").read_text() == f"{made}\n"
    start(tmp_path, token="one", agent_token="two")
    assert (server / "agent-token").read_text().endswith("::node:two\n")
    assert (server / "token").read_text().endswith("::server:one\n")
    start(tmp_path, token="one", agent_token="one")
    assert (server / "agent-token").readlink() == server / "token"
    assert start(tmp_path, token="one").agent_token == made
    assert (server / "agent-token").read_text() == f"{made}\n"
    assert (server / "node-token").readlink() == server / "token"


def test_agents_have_a_token_that_says_nothing_of_the_servers(tmp_path: Path) -> None:
    """Without a setting. The passwd file stays as RKE2 has it, the server token is good for agents, too."""
    made = start(tmp_path, token="one")
    assert (made.passwd.server, made.passwd.node) == ("one", "one")
    assert str(made.agent_token).startswith(f"K10{made.token.ca_hash}::node:")
    assert len(bytes.fromhex(made.agent_token.password)) == 16
    assert further_agent_passwords(config_of(tmp_path)) == (made.agent_token.password,)
    assert further_agent_passwords(config_of(tmp_path, agent_token="two")) == ()


def test_all_servers_make_the_same_token_for_agents(tmp_path: Path) -> None:
    first = start(tmp_path / "a", token="one")
    BootstrapData.read(paths_under(tmp_path / "a").server).write(paths_under(tmp_path / "b").server)
    assert start(tmp_path / "b", token="one").agent_token == first.agent_token
    assert start(tmp_path / "c", token="one").agent_token.password != first.agent_token.password


@pytest.mark.parametrize(
    "settings",
    [
        [{}, {"agent_token": "a"}],
        [{"agent_token": "a"}, {"agent_token": "b"}],
        [{"agent_token": "a"}, {}],
        [{}, {"agent_token": "a"}, {"agent_token": "b"}, {}],
    ],
)
def test_an_agent_token_may_come_change_and_go(tmp_path: Path, settings: list[dict[str, str]]) -> None:
    """The cluster's copy of the passwd file was made with the first setting, and the file on disk is newer since."""
    start(tmp_path, token="one", **settings[0])
    with_data(tmp_path)
    server = paths_under(tmp_path).server
    cluster = BootstrapData.read(server)
    for setting in settings[1:]:
        credentials = start(tmp_path, token="one", **setting)
        later = time.time_ns() + 10 * TOLERANCE_NS
        os.utime(server / "cred/passwd", ns=(later, later))
        assert reconcile(cluster, server) == []
        assert Passwd.read(server / "cred/passwd") == credentials.passwd
        assert credentials.passwd.node == setting.get("agent_token", "one")


def test_the_clusters_copy_may_be_taken_over_at_any_time(tmp_path: Path) -> None:
    """Another file differs: all are written, and the next start has the configured password again."""
    start(tmp_path, token="one")
    server = paths_under(tmp_path).server
    cluster = BootstrapData.read(server)
    start(tmp_path, token="one", agent_token="two")
    (server / "tls/service.key").unlink()
    assert server / "cred/passwd" in reconcile(cluster, server)
    assert start(tmp_path, token="one", agent_token="two").passwd.node == "two"
    assert reconcile(cluster, server) == []


def test_another_server_password_is_a_difference(tmp_path: Path) -> None:
    start(tmp_path, token="one")
    server = paths_under(tmp_path).server
    cluster = BootstrapData.read(server)
    Passwd("other", "other").write(server / "cred/passwd")
    later = time.time_ns() + 10 * TOLERANCE_NS
    os.utime(server / "cred/passwd", ns=(later, later))
    with pytest.raises(JoinError, match="newer than datastore"):
        reconcile(cluster, server)


def test_an_agent_token_with_the_hash_of_another_cluster_says_what_to_write(tmp_path: Path) -> None:
    start(tmp_path)
    with pytest.raises(ConfigError) as error:
        start(tmp_path, agent_token=f"K10{FOREIGN}::node:new")
    assert error.value.remedy == "write only its password, what comes after ::node:"
    assert start(tmp_path, agent_token="new").passwd.node == "new"


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


@pytest.mark.parametrize(
    ("token", "agent_token", "warned"),
    [
        ("a" * 15, "", ["token"]),
        ("a" * 16, "", []),
        ("", "", []),
        ("", "b" * 15, ["agent-token"]),
        ("a" * 16, "b" * 16, []),
        ("short", "shorter", ["token", "agent-token"]),
        ("same", "same", ["token"]),
    ],
)
def test_short_tokens_are_warned_of_at_every_start(
    tmp_path: Path, token: str, agent_token: str, warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        caplog.clear()
        start(tmp_path, token=token, agent_token=agent_token)
        told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert [line.partition(" is shorter than 16 characters")[0] for line in told] == warned
        assert not any(secret in line for line in told for secret in ("a" * 15, "b" * 15))


def test_the_length_of_a_full_token_is_that_of_its_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = str(start(tmp_path, token="short").token)
    caplog.clear()
    start(tmp_path, token=full)
    assert "token is shorter than 16 characters" in caplog.text
