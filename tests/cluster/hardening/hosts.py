"""Hosts that are made as ``profile: cis`` asks."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.restart.server import Server

UID = 990
ACCOUNTS = f"etcd:x:{UID}:\n", f"etcd:x:{UID}:{UID}::/nonexistent:/sbin/nologin\n"


def prepared(server: Server) -> str:
    """What `rke2 prepare-host` says; the accounts are put there first, as a test host has no useradd."""
    host = server.node.host
    for name, line in zip(("group", "passwd"), ACCOUNTS, strict=True):
        text = host.path(Path("/etc") / name).read_text()
        if "etcd:" not in text:
            host.write_file(Path("/etc") / name, text + line)
    done = server.node.rke2("prepare-host", "--profile", "cis")
    assert done.returncode == 0, done.stderr
    return done.stdout
