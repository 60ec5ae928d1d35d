"""A server's files as its own boot writes them before anything runs: certificates, keys, kubeconfigs, policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rke2.config.model import NodeConfig
from rke2.join.credentials import ensure_server_credentials
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.egress import ensure_egress_selector_config
from rke2.pki.kubeconfigs import ensure_agent_kubeconfigs, ensure_server_kubeconfigs
from rke2.pki.server_pki import ensure_server_pki
from rke2.staticpods.admission import write_policies
from tests.configs import paths_under, server_config


async def prepared_server(root: Path, **changes: Any) -> NodeConfig:
    """Write the files of a server below `root`; `changes` are those of `server_config`."""
    config = server_config(paths_under(root), **changes)
    ensure_server_pki(config)
    ensure_server_credentials(config)
    ensure_server_kubeconfigs(config)
    ensure_egress_selector_config(config)
    await ensure_agent_pki(config, LocalSigner(config))
    ensure_agent_kubeconfigs(config)
    write_policies(config)
    return config
