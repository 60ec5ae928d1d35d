"""The secrets of a server: passwords, tokens, encryption keys, names; each made once and kept.

Mirrors the supervisor reference §3.2, §3.3, §4.4, §5.3 (``ipsec.psk``), §7.1 and §10.1.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rke2.config.model import NodeConfig, ServerSettings
from rke2.config.paths import Paths
from rke2.errors import ConfigError, PKIError
from rke2.host.files import ensure_dir, write_atomic
from rke2.join.bootstrap import AGENT_SALT, FILES
from rke2.join.passwd import NODE_USER, SERVER_USER, Passwd
from rke2.join.tokens import PasswordToken, ca_hash, parse_server_token
from rke2.pki.catalog import CLIENT_CA, SERVER_CA
from rke2.pki.egress import ensure_egress_selector_config
from rke2.pki.encryption import ensure_encryption_config
from rke2.pki.pem import certificate_path, key_path, read_file

log = logging.getLogger(__name__)

_SECRET_MODE = 0o600
_PASSWORD_BYTES = 16
_IPSEC_BYTES = 48
_MEMBER_SUFFIX_BYTES = 4
_AGENTS = b"rke2 agent token"
"""What the password for agents is made for; another text would be another password."""
SHORTEST_PASSWORD = 16
"""Characters of a token's password, below which it is warned of."""


@dataclass(frozen=True)
class ServerCredentials:
    """What the supervisor authenticates with and what joining nodes are given."""

    passwd: Passwd
    token: PasswordToken
    agent_token: PasswordToken

    @classmethod
    def of(cls, passwd: Passwd, agent_password: str, cluster_hash: str) -> ServerCredentials:
        server = PasswordToken(passwd.server, SERVER_USER, cluster_hash)
        return cls(passwd, server, PasswordToken(agent_password, NODE_USER, cluster_hash))


def check_server_token(config: NodeConfig) -> None:
    """See whether the tokens of `config` and of the disk belong to the cluster on disk; reads only.

    Raises:
        ConfigError: a configured token is malformed or another cluster's.
        PKIError: ``server/token`` or ``cred/passwd`` is malformed or another cluster's.
    """
    _decide_passwd(_server_settings(config), _Cluster.read(config.paths), joins=config.join is not None)


def ensure_server_credentials(config: NodeConfig) -> ServerCredentials:
    """Make what is missing of a server's secrets and write the token files; needs the CAs of `ensure_server_pki`.

    Raises:
        ConfigError, PKIError: as `check_server_token`, or a file on disk cannot be used.
        OSError: a directory cannot be written.
    """
    paths, settings = config.paths, _server_settings(config)
    cluster = _Cluster.read(paths)
    if cluster.ca_hash is None:
        raise PKIError(f"{_server_ca(paths)} is missing", "start the server again")
    passwd = _decide_passwd(settings, cluster, joins=config.join is not None)
    agent_password = next(iter(further_agent_passwords(config)), passwd.node)
    credentials = ServerCredentials.of(passwd, agent_password, cluster.ca_hash)
    _warn_of_short(passwd)

    # All is read and judged before this first write: a start that is refused leaves the disk as it was.
    ensure_dir(paths.cred, 0o700)
    ensure_encryption_config(paths.cred, settings.secrets_encryption_provider)
    credentials.passwd.write(paths.cred / "passwd")
    _write_token_files(paths, credentials)
    _ensure_secret(paths.cred / "ipsec.psk", lambda: secrets.token_hex(_IPSEC_BYTES) + "\n")
    ensure_egress_selector_config(config)
    if not config.component("etcd").disabled:
        ensure_etcd_name(config)
    ensure_node_password(paths)
    return credentials


def exchange_server_token(config: NodeConfig, password: str) -> ServerCredentials:
    """Make `password` that of servers, and of agents that have none of their own; rewrites the files of both.

    Raises:
        PKIError: a file on disk cannot be used.
        OSError: one cannot be written.
    """
    paths, cluster = config.paths, _Cluster.read(config.paths)
    if cluster.passwd is None or cluster.ca_hash is None:
        raise PKIError("server token not found", "start the server again")
    passwd = Passwd(password, cluster.passwd.node if cluster.passwd.separate else password)
    agent_password = next(iter(further_agent_passwords(config)), passwd.node)
    credentials = ServerCredentials.of(passwd, agent_password, cluster.ca_hash)
    # In this order: a start in between goes by passwd, and writes the token file after it.
    passwd.write(paths.cred / "passwd")
    _write_token_files(paths, credentials)
    return credentials


def further_agent_passwords(config: NodeConfig) -> tuple[str, ...]:
    """What lets agents join besides the password in ``cred/passwd``: a password made for them, if none was configured.

    All servers make the same one, as they share the key it is made of; nobody can tell that key, or the server
    password, from it. Needs the CAs of `ensure_server_pki`. RKE2 has no such password (ADR 0030).
    """
    if _server_settings(config).agent_token:
        return ()
    key = read_file(key_path(config.paths.tls / CLIENT_CA.file))
    if key is None:
        raise PKIError(f"{key_path(config.paths.tls / CLIENT_CA.file)} is missing", "start the server again")
    # None in a cluster that never rotated its token: its agents were given the password that is made without.
    salt = read_file(config.paths.server / FILES[AGENT_SALT].path) or b""
    return (hmac.new(key, _AGENTS + salt, hashlib.sha256).hexdigest()[: 2 * _PASSWORD_BYTES],)


def _warn_of_short(passwd: Passwd) -> None:
    """Port 9345 slows down those who guess, but not enough for a token of a few characters."""
    worth = {"token": (passwd.server, "all keys of the cluster")}
    if passwd.separate:
        worth["agent-token"] = (passwd.node, "to join nodes that are given pods and their Secrets")
    for flag, (password, what) in worth.items():
        if len(password) < SHORTEST_PASSWORD:
            log.warning(
                "%s is shorter than %d characters: whoever guesses it gets %s; use a random one, as "
                "`openssl rand -hex 16` prints",
                flag,
                SHORTEST_PASSWORD,
                what,
            )


def _server_settings(config: NodeConfig) -> ServerSettings:
    if config.server is None:
        raise ValueError("an agent has no server credentials")
    return config.server


# --- which passwords -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cluster:
    """What the disk knows of the cluster; None for what is not there yet."""

    paths: Paths
    ca_hash: str | None
    passwd: Passwd | None
    token: PasswordToken | None

    @classmethod
    def read(cls, paths: Paths) -> _Cluster:
        bundle = read_file(_server_ca(paths))
        passwd, token = Passwd.read(paths.cred / "passwd"), _stored_token(paths.token)
        return cls(paths, ca_hash(bundle) if bundle else None, passwd, token)

    @property
    def password(self) -> str:
        """The server password, empty if none was made yet."""
        # passwd first: it is written first, so after a kill the token file is the one that is behind.
        if self.passwd:
            return self.passwd.server
        return self.token.password if self.token else ""

    @property
    def has_data(self) -> bool:
        return (self.paths.etcd / "member" / "wal").is_dir()

    def disowns(self, token: PasswordToken | None) -> bool:
        """Whether `token` is another cluster's.

        The hash alone does not tell: it changes when the CAs are rotated, and the password stays.
        """
        if token is None or not token.ca_hash or self.ca_hash in (None, token.ca_hash):
            return False
        return self.passwd is None or token.password not in (self.passwd.server, self.passwd.node)


def _decide_passwd(settings: ServerSettings, cluster: _Cluster, *, joins: bool) -> Passwd:
    """Passwords come from the configuration, else from the disk, else they are new."""
    token = _configured("token", settings.token)
    agent_token = _configured("agent-token", settings.agent_token)
    _require_same_cluster(cluster, token, agent_token)
    # A server that joins has its token judged by that one: it may have been rotated while this server was down.
    if token and not joins:
        _require_same_password(cluster, token)
    server = token.password if token else cluster.password or secrets.token_hex(_PASSWORD_BYTES)
    return Passwd(server, agent_token.password if agent_token else server)


def _require_same_cluster(
    cluster: _Cluster, token: PasswordToken | None, agent_token: PasswordToken | None
) -> None:
    why = f"is of another cluster: its CA hash is not that of {_server_ca(cluster.paths)}"
    if cluster.disowns(cluster.token):
        raise PKIError(
            f"{cluster.paths.token} {why}",
            "put this cluster's token file back, or delete it and start with the token in the configuration",
        )
    if cluster.disowns(token):
        raise ConfigError(f"token {why}", f"use the token in {cluster.paths.token}")
    if cluster.disowns(agent_token):
        raise ConfigError(f"agent-token {why}", "write only its password, what comes after ::node:")


def _require_same_password(cluster: _Cluster, token: PasswordToken) -> None:
    """A cluster's data is tied to its token; without data any token will do."""
    if cluster.has_data and cluster.password not in ("", token.password):
        raise ConfigError(
            f"token is not the one that the cluster in {cluster.paths.etcd} was made with",
            f"use the token in {cluster.paths.token}",
        )


def _configured(flag: str, text: str) -> PasswordToken | None:
    try:
        return parse_server_token(text) if text else None
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error.message}", error.remedy) from None


def _stored_token(path: Path) -> PasswordToken | None:
    content = read_file(path)
    text = content.decode(errors="replace").strip() if content else ""
    try:
        return parse_server_token(text) if text else None
    except ConfigError as error:
        raise PKIError(f"{path}: {error.message}", "delete the file to have it written again") from None


def _server_ca(paths: Paths) -> Path:
    return certificate_path(paths.tls / SERVER_CA.file)


# --- files -----------------------------------------------------------------------------------------


def _write_token_files(paths: Paths, credentials: ServerCredentials) -> None:
    write_atomic(paths.token, f"{credentials.token}\n", _SECRET_MODE, durable=True)
    _link(paths.server / "node-token", paths.token)
    # Compared by passwords: an agent-token that equals the server's is not a separate one.
    agent_token = paths.server / "agent-token"
    if credentials.agent_token.password == credentials.token.password:
        _link(agent_token, paths.token)
        return
    if agent_token.is_symlink():
        agent_token.unlink()
    # Not durable: each start makes it again, from the configuration or the client CA's key.
    write_atomic(agent_token, f"{credentials.agent_token}\n", _SECRET_MODE)


def _link(path: Path, target: Path) -> None:
    if path.is_symlink() and path.readlink() == target:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _ensure_secret(path: Path, make: Callable[[], str]) -> str:
    content = read_file(path)
    if content is None:
        content = make().encode()
        write_atomic(path, content, _SECRET_MODE, durable=True)
    return content.decode().strip()


def ensure_etcd_name(config: NodeConfig) -> str:
    """The name of this node as an etcd member, ``<node>-<8 hex>``, made once in ``db/etcd/name``."""
    etcd = config.paths.etcd
    ensure_dir(config.paths.server, 0o700)
    ensure_dir(etcd.parent, 0o700)
    ensure_dir(etcd, 0o700)
    return _ensure_secret(
        etcd / "name", lambda: f"{config.node.name}-{secrets.token_hex(_MEMBER_SUFFIX_BYTES)}"
    )


def ensure_node_password(paths: Paths) -> str:
    """The password by which this node proves to be the one that registered, made once outside the data directory."""
    path = ensure_dir(paths.node_config_dir) / "password"
    return _ensure_secret(path, lambda: secrets.token_hex(_PASSWORD_BYTES) + "\n")
