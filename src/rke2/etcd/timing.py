"""Which heartbeat and election timeout a member runs with; ADR 0012 says why, and why it may change.

etcd reads its configuration file each time its process starts, and the timing in it is no part of the pod's manifest:
writing another one restarts nothing. The new values hold from the member's next start on, whatever causes that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rke2.config.model import NodeConfig
from rke2.etcd.messages import Member
from rke2.host.files import write_atomic
from rke2.staticpods import etcd_config
from rke2.staticpods.etcd_config import ALONE, CLUSTER, EtcdTiming, InitialOptions


def initial(config: NodeConfig, options: InitialOptions) -> EtcdTiming:
    """The timing to start with: the one of the file that is there, as `settle` left it; else by the initial cluster.

    The initial options alone do not tell: the first server's name it as the only member forever.
    """
    written = _written(etcd_config.read(_file(config)))
    if written:
        # What is neither of both, as after a start with other etcd-args, is taken for the more patient one.
        return ALONE if written == ALONE else CLUSTER
    return CLUSTER if "," in options.cluster else ALONE


def wanted(members: Sequence[Member]) -> EtcdTiming:
    """The timing for a cluster of `members`; one that has not started yet counts."""
    return ALONE if len(members) <= 1 else CLUSTER


def settle(config: NodeConfig, members: Sequence[Member]) -> bool:
    """Write the timing for `members` into the configuration file for the next start of etcd; True if it changed.

    What an ``etcd-arg`` says is left as it is.

    Raises:
        OSError: the file cannot be written.
    """
    path = _file(config)
    if not etcd_config.read(path):
        return False
    return _replace(path, etcd_config.with_timing(config, path.read_text(), wanted(members)))


def _file(config: NodeConfig) -> Path:
    return config.paths.etcd / "config"


def _written(document: dict[str, Any]) -> EtcdTiming | None:
    values = [document.get(key) for key in etcd_config.TIMING_KEYS]
    return EtcdTiming(*values) if all(isinstance(value, int) for value in values) else None  # type: ignore[arg-type]


def _replace(path: Path, text: str) -> bool:
    # Looked at before: the new file that takes its place is root's.
    owner = path.stat()
    changed = write_atomic(path, text)
    if changed:  # under a hardening profile etcd runs as another user
        os.chown(path, owner.st_uid, owner.st_gid)
    return changed
