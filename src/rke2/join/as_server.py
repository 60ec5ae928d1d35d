"""A server joins others: it takes over their keys (supervisor reference §5.3, end, and §6.4)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from http import HTTPStatus

from rke2.config.model import NodeConfig
from rke2.errors import ConfigError, JoinError
from rke2.join.client import Supervisor
from rke2.join.cluster_config.compare import critical_mismatches
from rke2.join.passwd import NODE_USER
from rke2.join.reconcile import reconcile
from rke2.join.tokens import parse_token
from rke2.join.transport import SupervisorCredentials
from rke2.pki.pem import read_file

log = logging.getLogger(__name__)


def join_token(config: NodeConfig) -> str:
    """The token to join with: the configured one, else the one this server joined with before.

    Raises:
        JoinError: there is none.
        PKIError: ``server/token`` cannot be read.
    """
    configured = config.join.token if config.join else ""
    stored = b"" if configured else read_file(config.paths.token) or b""
    token = configured or stored.decode(errors="replace").strip()
    if not token:
        raise JoinError(
            "token is required to join a cluster",
            "set token to what is in /var/lib/rancher/rke2/server/token on a server of the cluster",
            final=True,
        )
    return token


async def fetch_bootstrap(supervisor: Supervisor, config: NodeConfig) -> None:
    """Compare the settings that all servers share, then bring the keys on disk to those of the cluster.

    Args:
        supervisor: the server to join, as user ``server``.

    Raises:
        JoinError: the servers differ in a critical setting, the server refuses, or files on disk are newer than its.
        PKIError, OSError: a file cannot be read or written.
    """
    # First: a server that must not be mixed with these gets none of the cluster's keys onto its disk.
    await _compare(supervisor, config)
    data = await supervisor.server_bootstrap()
    # A server answers with the files on its disk while etcd has
    # none, and at its own first start those are not complete.
    if "ServerCA" not in data.entries:
        raise JoinError(
            f"{supervisor.url} has no keys to share yet", "see that the server to join has started completely"
        )
    changed = await asyncio.to_thread(reconcile, data, config.paths.server)
    log.info("%s shares the keys of the cluster; %d files changed here", supervisor.url, len(changed))


async def _compare(supervisor: Supervisor, config: NodeConfig) -> None:
    try:
        answer = await _as_node(supervisor, config).config()
    except JoinError as error:
        # Only told, as in RKE2 (supervisor reference §5.3): whether
        # this server is let in, the next request decides.
        if error.status == HTTPStatus.UNAUTHORIZED:
            log.warning(
                "agent-token is not what it is on %s: agents with that token are refused here. "
                "Set the same agent-token on all servers, or none",
                supervisor.url,
            )
        log.warning("Cannot compare the settings of this server with the cluster's: %s", error)
        return
    mismatches = critical_mismatches(config, answer)
    for flag in mismatches:
        log.error("critical configuration mismatched: %s", flag)
    if mismatches:
        raise JoinError(
            f"critical configuration value mismatch between servers: {', '.join(mismatches)}",
            f"give these the values they have on {supervisor.url}",
            final=True,
        )


def _as_node(supervisor: Supervisor, config: NodeConfig) -> Supervisor:
    """The settings are given to agents: the user is ``node``, its password the agent token if there is one."""
    agent_token = config.server.agent_token if config.server else ""
    try:
        token = parse_token(agent_token) if agent_token else supervisor.credentials.token
    except ConfigError as error:
        raise JoinError(f"agent-token: {error.message}", error.remedy, final=True) from error
    return replace(supervisor, credentials=SupervisorCredentials(token, NODE_USER))
