"""The steps of a cluster reset (day2 reference §4): the plans are `rke2.boot.plans.reset`.

They differ from RKE2's in their order: everything that can fail is done in a scratch directory first, while the old
data is untouched and its pods may still run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shlex
import time
from functools import partial
from pathlib import Path

from rke2.boot.content import images
from rke2.boot.node import Node
from rke2.boot.plans.row import Step
from rke2.config.model import ResetSettings, S3Settings
from rke2.content.runtime.references import image
from rke2.errors import EtcdError, JoinError
from rke2.etcd import member_files
from rke2.etcd.client import EtcdClient
from rke2.etcd.membership import Self
from rke2.host.files import write_atomic
from rke2.join.bootstrap import BootstrapData
from rke2.join.credentials import ensure_server_credentials
from rke2.join.reconcile import overwrite
from rke2.join.store import BootstrapStore
from rke2.lifecycle.service import Finished
from rke2.recovery import state
from rke2.recovery.history import note
from rke2.recovery.wire import Restored
from rke2.snapshots import fetching, record, resetting, restoring
from rke2.snapshots.member import put_right, temporary_member
from rke2.snapshots.programs import copy_programs
from rke2.snapshots.taking import Snapshots
from rke2.staticpods.removal import take_away

log = logging.getLogger(__name__)

DONE = (
    "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and delete "
    "${datadir}/server/db on each peer etcd server and rejoin the nodes"
)
"""RKE2's words, which people and playbooks look for."""

_NAME_BYTES = 4


# --- before anything is changed ----------------------------------------------------------------------------
def leaving_nothing(step: Step) -> Step:
    """`step` as one that, if it fails, leaves nothing on the disk: that may be full."""

    async def tried(node: Node) -> None:
        try:
            await step(node)
        except Exception:
            await asyncio.to_thread(resetting.remove_scratch, node.config.paths)
            raise

    return tried


async def check(node: Node) -> None:
    """See whether the reset can be done; a snapshot in S3 is fetched for that.

    Raises:
        HostError: it was done already.
        EtcdError: there is no such snapshot, it is damaged, or there is no data to reset.
        JoinError: the snapshot is of another token.
        S3Error: the snapshot cannot be fetched.
    """
    if store := _store(node):
        node.waiting("checks", "the snapshot to be fetched from S3")
        target = _source(node)
        await fetching.fetch(store, target, make=target.parent == node.config.paths.snapshots)
    await asyncio.to_thread(_check, node)


def _check(node: Node) -> None:
    paths, settings = node.config.paths, _settings(node)
    if settings.restore is None:
        resetting.refuse_second(paths)
        if not member_files.initialised(paths):
            raise EtcdError(
                f"there is no etcd data in {paths.etcd} to reset",
                "restore a snapshot with --cluster-reset-restore-path; data of before a restore is in etcd-old-*",
            )
    scratch = resetting.fresh_scratch(paths)
    if settings.restore is not None:
        restoring.require_room(find_snapshot(node), scratch, restoring.PROGRAMS)


async def programs(node: Node) -> None:
    """Have etcd and its tool out of the image, as soon as that is there."""
    # Archives before registries: a restore has to work without a network.
    await images(node)
    reference = image(node.config, "etcd")
    node.waiting("etcd programs", f"image {reference} to be imported")
    await node.images.available(reference)
    if not node.images.provides(reference):
        await node.pulls.ensure(reference, partial(node.waiting, "etcd programs"))
    await copy_programs(node.config, _scratch(node) / "bin")


async def restore(node: Node) -> None:
    """Make a database of the snapshot, in the scratch directory."""
    scratch = _scratch(node)
    source = find_snapshot(node)
    token = record.token_hash(_token(node))
    snapshot = await asyncio.to_thread(restoring.check, source, token, scratch)
    name = f"{node.config.node.name}-{secrets.token_hex(_NAME_BYTES)}"
    await restoring.restore(snapshot, Self.of(node.config, name), _program(node, "etcdutl"), _restored(node))
    # Inside the directory: data and name come into their place by one rename.
    write_atomic(_restored(node) / "name", name, durable=True)


async def keys_of_snapshot(node: Node) -> None:
    """Read the cluster's keys out of the restored database: with the wrong token that fails here, before any change."""
    name = (_restored(node) / "name").read_text()
    await _look_into(node, _restored(node), Self.of(node.config, name), force_new_cluster=False)


# --- the changes -------------------------------------------------------------------------------------------
async def static_pods(node: Node) -> None:
    """Take the control plane away: nothing may write to the old data, or answer from it, any more."""
    # Before the first change: until `finish` a normal start is refused, which would begin an empty cluster.
    await asyncio.to_thread(resetting.begin, node.config.paths, shlex.join(["rke2", *node.config.argv]))
    log.info("Static pod cleanup in progress")
    await take_away(node.cri, node.config.paths)
    log.info("Static pod cleanup completed successfully")


async def data(node: Node) -> None:
    """Put the restored database in its place."""
    await asyncio.to_thread(resetting.exchange, node.config.paths, _restored(node))


async def membership(node: Node) -> None:
    """Have this server's own member forget all others, and read the cluster's keys out of it."""
    paths = node.config.paths
    name = (await asyncio.to_thread(member_files.name_file(paths).read_text)).strip()
    member_files.tombstone_file(paths).unlink(missing_ok=True)
    await _look_into(node, paths.etcd, Self.of(node.config, name), force_new_cluster=True)
    # If this member does not come up, the former ones would be asked, and answer that it was removed.
    member_files.members_file(paths).unlink(missing_ok=True)


async def keys(node: Node) -> None:
    """Write the keys over those on disk, of which a copy is made."""
    await asyncio.to_thread(_write_keys, node)


def _write_keys(node: Node) -> None:
    paths, file = node.config.paths, _keys_file(node)
    if file.exists():
        log.warning("Updating bootstrap data on disk from datastore")
        backup = overwrite(BootstrapData.from_json(file.read_bytes()), paths.server)
        if backup:
            log.info("Cluster reset: backing up certificates directory to %s", backup)
        # The certificate of port 9345, issued by an authority that has just been overwritten.
        (paths.tls / "dynamic-cert.json").unlink(missing_ok=True)
    ensure_server_credentials(node.config)
    # They name the servers of before, which may still run on the old data.
    for name in ("rke2-agent-load-balancer.json", "rke2-api-server-agent-load-balancer.json"):
        (paths.agent_etc / name).unlink(missing_ok=True)


async def finish(node: Node) -> None:
    """Say that it is done, and end."""
    await asyncio.to_thread(resetting.finish, node.config.paths)
    state.forget(node.config.paths)
    log.info('Shutdown request received: "%s"', DONE)
    raise Finished(DONE)


# --- what the steps share ----------------------------------------------------------------------------------
async def _look_into(node: Node, directory: Path, own: Self, *, force_new_cluster: bool) -> None:
    """Run etcd on `directory`: read the keys into the scratch directory, then put its members right."""
    scratch, etcd = _scratch(node), _program(node, "etcd")
    member = temporary_member(node.config, own, directory, scratch, etcd, force_new_cluster=force_new_cluster)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(member)
        await _read_keys(node, client)
        await put_right(client, own)
        await _note(node, client)


async def _note(node: Node, client: EtcdClient) -> None:
    """Part of the restore of a whole cluster: its etcd remembers it, for servers that come back with older data."""
    settings = _settings(node)
    if not settings.id:
        return
    header = (await client.status()).header
    # Without a snapshot the cluster keeps its id; the members are others.
    cluster = settings.cluster or (f"{header.cluster_id:x}" if header and settings.restore is None else "")
    await note(client, Restored(settings.id, cluster, time.time()))


async def _read_keys(node: Node, client: EtcdClient) -> None:
    try:
        found = await BootstrapStore(client, _token(node)).load()
    except JoinError as error:
        raise JoinError(
            f"bootstrap data already found and encrypted with different token: {error.message}",
            "pass the token of the cluster that the data is of with --token",
            final=True,
        ) from error
    if found is None:
        log.warning("The data holds no keys of a cluster; those on disk stay")
        return
    await asyncio.to_thread(write_atomic, _keys_file(node), found.to_json(), durable=True)


def find_snapshot(node: Node) -> Path:
    """The snapshot that is to be restored.

    Raises:
        EtcdError: there is none.
    """
    return restoring.find(_source(node), _directory(node))


def _settings(node: Node) -> ResetSettings:
    assert node.config.server and node.config.server.reset, "no reset"
    return node.config.server.reset


def _token(node: Node) -> str:
    assert node.config.server
    return node.config.server.token or node.config.paths.token.read_text().strip()


def _snapshots(node: Node) -> Snapshots:
    assert node.server.snapshots is not None, "a reset needs a member"
    return node.server.snapshots


def _directory(node: Node) -> Path:
    return _snapshots(node).directory


def _store(node: Node) -> S3Settings | None:
    """Where the snapshot is fetched from; None if it is here, or there is none to restore."""
    return _snapshots(node).settings.s3 if _settings(node).restore else None


def _source(node: Node) -> Path:
    """The snapshot as it was named; of one in S3 the file that it is fetched to."""
    restore = _settings(node).restore
    assert restore is not None, "a reset without restore"
    return _directory(node) / restore.name if _store(node) else restore


def _scratch(node: Node) -> Path:
    return node.config.paths.reset_scratch


def _restored(node: Node) -> Path:
    return _scratch(node) / "etcd"


def _keys_file(node: Node) -> Path:
    return _scratch(node) / "keys.json"


def _program(node: Node, name: str) -> Path:
    return _scratch(node) / "bin" / name
